"""How a running loop is watched. The library never prints: a console implements this, or nobody looks."""

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Receives what a loop does, from the loop's own thread."""

    def start(
        self, total: int | None, done: int, unit: str = "updates", seconds: float | None = None
    ) -> None:
        """A loop begins at `done` of `total`; `unit` is what it counts, `seconds` what is left of a time limit."""

    def update(self, done: int, metrics: Mapping[str, float]) -> None:
        """`done` updates are made; `metrics` are those of the last one, memory included."""

    def message(self, text: str, *, warn: bool = False) -> None:
        """One sentence for the person who waits; `warn` where even those who asked for quiet should read it."""

    def finish(self) -> None:
        """The loop is over, whatever the reason."""


class Silent:
    """Nobody looks."""

    def start(
        self, total: int | None, done: int, unit: str = "updates", seconds: float | None = None
    ) -> None: ...

    def update(self, done: int, metrics: Mapping[str, float]) -> None: ...

    def message(self, text: str, *, warn: bool = False) -> None: ...

    def finish(self) -> None: ...
