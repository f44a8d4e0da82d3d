"""The one console: words, tables and progress go to stderr, machine-readable output alone to stdout.

On a terminal, progress is a live bar with the memory in use. Without one (a pipe, a log file, TERM=dumb) it
is a plain line now and then, without a single escape sequence. NO_COLOR and COLUMNS are honoured.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from motionrft_cli.processes import speaks, spoken
from motionrft_cli.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

PLAIN_WIDTH = 160  # columns of a table that goes to a file


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
        """A line that is worth reading even under --quiet; it names the process, where that is not the first."""
        self.rich.print(spoken(f"warning: {visible(text)}"), soft_wrap=True, style="yellow")

    def warn_of_all(self, text: str) -> None:
        """A warning that every process of a run comes to: the first one says it."""
        if speaks():
            self.warn(text)

    def error(self, text: str) -> None:
        """The line a failure ends in; see `motionrft_cli.main` for who calls it."""
        self.rich.print(f"error: {visible(text)}", soft_wrap=True, style="bold red")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table on stderr; numbers align right, and floats get four significant digits.

        Where it is wider than the terminal it is turned or comes in parts (`motionrft_cli.tables`).
        """
        if self.quiet:
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        from motionrft_cli.tables import fitted

        shown: str | None = visible(title)
        for part in fitted(columns, rows, self.rich.width):
            table = Table(title=shown, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
            for name, width, numeric in zip(part.columns, part.widths, part.numeric, strict=True):
                table.add_column(name, justify="right" if numeric else "left", overflow="fold", width=width)
            for row in part.rows:
                table.add_row(*row)
            self.rich.print(table)
            shown = None

    def emit(self, document: Any) -> None:
        """One JSON document (or one line of JSON lines) to stdout, at once; nothing without --json.

        Not-finite numbers become `null`: JSON has no NaN. The text is ASCII, so any locale can carry it.
        """
        if not self.json_output:
            return
        sys.stdout.write(json_line(document))
        sys.stdout.flush()

    @contextmanager
    def progress(
        self,
        description: str,
        total: float | None = None,
        unit: str = "",
        done: float = 0,
        seconds: float | None = None,
    ) -> Iterator[Progress]:
        """Follow a loop: `with console.progress("sampling", 100, "motions") as bar: ... bar.advance()`.

        Args:
            done: how many were done before, by an earlier session.
            seconds: after which the loop ends at the latest.
        """
        if self.quiet:
            yield _Silent()
            return
        from motionrft_cli.progress import Bar, Lines, Pace, live

        pace = Pace(total, done, seconds)
        if self.live:
            self.release()
            with live(self.rich, Bar(description, pace, unit)) as bar:
                yield bar
        else:
            lines = Lines(self._say_at_last, description, pace, unit)
            yield lines
            lines.close()

    def _say_at_last(self, text: str) -> None:
        self.release()
        self.info(text)


class _Silent:
    """Progress that nobody wants to see."""

    def advance(self, amount: float = 1, **numbers: float | str) -> None: ...

    def describe(self, description: str) -> None: ...


def json_line(document: Any) -> str:
    """One document on a line of ASCII; numbers that are not finite become `null`: JSON has no NaN."""
    return json.dumps(_finite(document), allow_nan=False) + "\n"


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
