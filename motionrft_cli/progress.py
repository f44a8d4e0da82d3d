"""Progress of a loop: a bar that fits its terminal, or a plain line now and then in a log.

On a terminal the first line holds what must never be missing: what runs, how far it is, the time left, the main number
(the reward) and the memory. Further numbers have lines of their own below; nothing is cut in the middle of a number.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.cells import cell_len, set_cell_size
from rich.console import Console as RichConsole
from rich.console import ConsoleOptions
from rich.live import Live
from rich.text import Text

from motionrft_cli.memory import memory_line
from motionrft_cli.tables import cell

MOST_LINES = 3
SHORTEST_BAR, LONGEST_BAR = 6, 40
GAP = "  "
PLAIN_SECONDS = 10.0  # between two progress lines that go to a file
PLAIN_MOMENT = 2.0  # what is over sooner leaves no line in a file


class Pace:
    """How long a loop will still take: by its mean pace in this session, or until its seconds are used up.

    Args:
        total: how many there are to do; None where nobody knows.
        done: how many an earlier session made, which tells nothing of this one's pace.
        seconds: after which the loop ends at the latest.
    """

    def __init__(self, total: float | None, done: float = 0, seconds: float | None = None) -> None:
        self.total, self.start, self.done, self.seconds = total, done, done, seconds
        self.began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def left(self) -> float | None:
        """Seconds; None where nothing tells yet."""
        made, limits = self.done - self.start, list[float]()
        if self.total is not None and made > 0:
            limits.append(max(self.total - self.done, 0) * self.elapsed / made)
        if self.seconds is not None:
            limits.append(max(self.seconds - self.elapsed, 0))
        return min(limits, default=None)

    def fraction(self) -> float:
        """Of the way, from 0 to 1: by count, or by time where only time ends the loop."""
        way, whole = (self.done, self.total) if self.total is not None else (self.elapsed, self.seconds)
        return min(way / whole, 1.0) if whole else 0.0

    def count(self) -> str:
        """`120/750`, or `120` of nobody knows how many."""
        return f"{self.done:g}" + (f"/{self.total:g}" if self.total is not None else "")


def clock(seconds: float | None) -> str:
    """`3:07` or `1:02:33`; dashes while nobody knows."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def layout(
    width: int,
    head: str,
    tail: str,
    vital: Sequence[str],
    more: Sequence[str],
    draw: Callable[[int], str],
) -> list[str]:
    """The lines of a progress display: none wider than `width`, no item broken.

    Args:
        head, tail: what stands left and right of the bar: what runs; count and time left.
        vital: always shown, beside the bar as far as they fit.
        more: on lines of their own, as far as `MOST_LINES` reach.
        draw: the bar of a given length.
    """
    beside = list(vital)
    while beside and _width(head, tail, *beside) + SHORTEST_BAR > width:
        beside.pop()
    if not beside and _width(head, tail) + SHORTEST_BAR > width:
        head = f"{set_cell_size(head, max(width - _width('', tail) - SHORTEST_BAR - 1, 0))}…"
    space = width - _width(head, tail, *beside)
    bar = draw(max(min(space, LONGEST_BAR), SHORTEST_BAR))
    lines = [GAP.join([f"{head} {bar} {tail}", *beside])]
    for place, item in enumerate([*vital[len(beside) :], *more]):
        if place and cell_len(lines[-1] + GAP + item) <= width:
            lines[-1] += GAP + item
        elif len(lines) < MOST_LINES:
            lines.append(item)
    return lines


def _width(head: str, tail: str, *items: str) -> int:
    """Columns of the first line without its bar."""
    return cell_len(GAP.join([f"{head}  {tail}", *items]))


def named(numbers: Mapping[str, float | str]) -> list[str]:
    """`reward 0.41` each."""
    return [f"{name} {cell(value)}" for name, value in numbers.items()]


class Bar:
    """Progress on a terminal."""

    def __init__(self, description: str, pace: Pace, unit: str) -> None:
        self.description, self.pace, self.unit = description, pace, unit
        self.numbers: list[str] = []

    def advance(self, amount: float = 1, **numbers: float | str) -> None:
        self.pace.done += amount
        if numbers:
            self.numbers = named(numbers)

    def describe(self, description: str) -> None:
        self.description = description

    def lines(self, width: int, characters: str = "━─") -> list[str]:
        """What stands on the screen now; `characters`: of what is done, and of what is not."""

        def draw(length: int) -> str:
            done = round(self.pace.fraction() * length)
            return characters[0] * done + characters[1] * (length - done)

        unit = "" if self.pace.total is not None else f" {self.unit}".rstrip()
        tail = f"{self.pace.count()}{unit} {clock(self.pace.left())} left"
        memory = [line for line in [memory_line()] if line]
        return layout(width, self.description, tail, [*self.numbers[:1], *memory], self.numbers[1:], draw)

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> Iterator[Text]:
        lines = self.lines(options.max_width, "#-" if options.ascii_only else "━─")
        yield Text("\n".join(lines), no_wrap=True, overflow="crop")


@contextmanager
def live(console: RichConsole, bar: Bar) -> Iterator[Bar]:
    """Draw a bar until the loop is over; it leaves nothing behind."""
    with Live(bar, console=console, transient=True, refresh_per_second=4):
        yield bar


class Lines:
    """Progress in a log file: a line every few seconds and at the end; none when it was over in a moment.

    Args:
        say: prints one line.
    """

    def __init__(self, say: Callable[[str], None], description: str, pace: Pace, unit: str) -> None:
        self.say, self.description, self.pace, self.unit = say, description, pace, unit
        self.shown, self.printed, self.numbers = pace.done, pace.began, ""

    def advance(self, amount: float = 1, **numbers: float | str) -> None:
        self.pace.done += amount
        if numbers:
            self.numbers = " ".join(named(numbers))
        if time.monotonic() - self.printed >= PLAIN_SECONDS:
            self._print()

    def describe(self, description: str) -> None:
        self.description = description

    def close(self) -> None:
        """The last line, with the seconds it took."""
        if self.pace.done != self.shown and self.pace.elapsed >= PLAIN_MOMENT:
            self._print()

    def _print(self) -> None:
        self.printed, self.shown = time.monotonic(), self.pace.done
        one = (self.pace.total or self.pace.done) == 1
        count = f"{self.pace.count()} {self.unit.removesuffix('s') if one else self.unit}".strip()
        seconds = f"{self.printed - self.pace.began:.1f} s"
        told = ", ".join(part for part in (count, seconds, self.numbers, memory_line()) if part)
        self.say(f"{self.description}: {told}")
