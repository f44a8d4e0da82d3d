"""The one console: words, tables and progress go to stderr, machine-readable output alone to stdout.

On a terminal, progress is a live bar with the memory in use. Without one (a pipe, a log file, TERM=dumb) it
is a plain line now and then, without a single escape sequence. NO_COLOR and COLUMNS are honoured.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from motionrft_cli.memory import memory_line
from motionrft_cli.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_WIDTH = 160  # columns of a table that goes to a file
PLAIN_SECONDS = 10.0  # between two progress lines that go to a file
PLAIN_MOMENT = 2.0  # what is over sooner leaves no line in a file


class Progress(Protocol):
    """What `Console.progress` gives to a loop."""

    def advance(self, amount: float = 1, **numbers: float | str) -> None:
        """Count `amount` more done and show the newest numbers beside the bar (`reward=0.41`)."""

    def describe(self, description: str) -> None:
        """Say what is being done now."""


class Console:
    """Where a command talks.

    Args:
        json_output: stdout carries JSON and nothing else; people's words still go to stderr.
        quiet: only warnings and errors.
        verbose: also `detail`.
    """

    def __init__(self, json_output: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.json_output = json_output
        self.quiet = quiet
        self.verbose = verbose
        self._held: list[str] = []

    @cached_property
    def rich(self) -> "RichConsole":
        """The rich console on stderr, made when first needed: importing rich takes a noticeable moment."""
        from rich.console import Console as RichConsole

        console = RichConsole(stderr=True, highlight=False, markup=False, emoji=False)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = PLAIN_WIDTH
        return console

    @property
    def live(self) -> bool:
        """Whether a moving bar can be drawn."""
        return self.rich.is_terminal and not self.rich.is_dumb_terminal

    def info(self, text: str) -> None:
        """A line for people; silent under --quiet."""
        if not self.quiet:
            self.rich.print(visible(text), soft_wrap=True)

    def detail(self, text: str) -> None:
        """A line for curious people: only under --verbose."""
        if self.verbose and not self.quiet:
            self.rich.print(visible(text), soft_wrap=True, style="dim")

    def hold(self, text: str) -> None:
        """A line worth saying only if the work takes a while: it is said once, when progress is first shown."""
        if text not in self._held:
            self._held.append(text)

    def release(self) -> None:
        """Say what was held."""
        while self._held:
            self.info(self._held.pop(0))

    def warn(self, text: str) -> None:
        """A line that is worth reading even under --quiet."""
        self.rich.print(f"warning: {visible(text)}", soft_wrap=True, style="yellow")

    def error(self, text: str) -> None:
        """The line a failure ends in; see `motionrft_cli.main` for who calls it."""
        self.rich.print(f"error: {visible(text)}", soft_wrap=True, style="bold red")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table on stderr; numbers align right, and floats get four significant digits."""
        if self.quiet:
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(title=visible(title), box=SIMPLE_HEAD, title_justify="left", title_style="bold")
        rows = [tuple(row) for row in rows]
        for index, column in enumerate(columns):
            numeric = all(_numeric(row[index]) for row in rows if index < len(row))
            table.add_column(visible(column), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self.rich.print(table)

    def emit(self, document: Any) -> None:
        """One JSON document (or one line of JSON lines) to stdout, at once; nothing without --json.

        Not-finite numbers become `null`: JSON has no NaN. The text is ASCII, so any locale can carry it.
        """
        if not self.json_output:
            return
        sys.stdout.write(json.dumps(_finite(document), allow_nan=False) + "\n")
        sys.stdout.flush()

    @contextmanager
    def progress(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Progress]:
        """Follow a loop: `with console.progress("sampling", 100, "motions") as bar: ... bar.advance()`."""
        if self.quiet:
            yield _Silent()
        elif self.live:
            self.release()
            with self._bar() as bar:
                yield _Bar(
                    bar, bar.add_task(description, total=total, numbers="", memory=memory_line()), unit
                )
        else:
            lines = _Lines(self, description, total, unit)
            yield lines
            lines.close()

    def _bar(self) -> "RichProgress":
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[memory]}", style="dim"),
        )
        return RichProgress(*columns, console=self.rich, transient=True, refresh_per_second=4)


class _Silent:
    """Progress under --quiet."""

    def advance(self, amount: float = 1, **numbers: float | str) -> None:
        """Nothing to show."""

    def describe(self, description: str) -> None:
        """Nothing to show."""


class _Bar:
    """Progress on a terminal."""

    def __init__(self, bar: "RichProgress", task: "TaskID", unit: str) -> None:
        self.bar, self.task, self.unit = bar, task, unit

    def advance(self, amount: float = 1, **numbers: float | str) -> None:
        fields: dict[str, Any] = {"memory": memory_line()}
        if numbers:
            fields["numbers"] = _pairs(numbers)
        self.bar.update(self.task, advance=amount, **fields)

    def describe(self, description: str) -> None:
        self.bar.update(self.task, description=description)


class _Lines:
    """Progress in a log file: a line every few seconds and at the end; none when it was over in a moment."""

    def __init__(self, console: Console, description: str, total: float | None, unit: str) -> None:
        self.console, self.description, self.total, self.unit = console, description, total, unit
        self.done, self.shown, self.numbers = 0.0, 0.0, ""
        self.started = self.printed = time.monotonic()

    def advance(self, amount: float = 1, **numbers: float | str) -> None:
        self.done += amount
        if numbers:
            self.numbers = _pairs(numbers)
        if time.monotonic() - self.printed >= PLAIN_SECONDS:
            self._print()

    def describe(self, description: str) -> None:
        self.description = description

    def close(self) -> None:
        """The last line, with the seconds it took."""
        if self.done != self.shown and time.monotonic() - self.started >= PLAIN_MOMENT:
            self._print()

    def _print(self) -> None:
        self.console.release()
        self.printed, self.shown = time.monotonic(), self.done
        count = f"{self.done:g}" + (f"/{self.total:g}" if self.total is not None else "")
        seconds = f"{self.printed - self.started:.1f} s"
        parts = [f"{count} {self.unit}".strip(), seconds, self.numbers, memory_line()]
        self.console.info(f"{self.description}: " + ", ".join(part for part in parts if part))


def _pairs(numbers: Mapping[str, float | str]) -> str:
    return " ".join(f"{name} {_cell(value)}" for name, value in numbers.items())


def _numeric(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return visible(str(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # a numpy or torch number, without importing either
        return _finite(value.tolist())
    return value
