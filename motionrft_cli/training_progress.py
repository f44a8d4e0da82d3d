"""A training loop's progress on the console: bar, newest numbers, memory."""

from collections.abc import Mapping
from contextlib import ExitStack

from motionrft_cli.console import Console, Progress

SHOWN = ("loss", "reward", "validation_loss", "grad_norm", "lr")
"""Metrics worth a glance; terms of a reward (`reward/…`) are shown too, everything else is in metrics.jsonl."""


class LoopProgress:
    """What `motionrft.training.loop.train` talks to (its `Progress` protocol)."""

    def __init__(self, console: Console, description: str):
        self.console, self.description = console, description
        self._stack = ExitStack()
        self._bar: Progress | None = None
        self._done = 0

    def start(self, total: int | None, done: int, unit: str = "updates") -> None:
        self._bar = self._stack.enter_context(self.console.progress(self.description, total, unit))
        self._done = 0
        self._advance(done)

    def update(self, done: int, metrics: Mapping[str, float]) -> None:
        shown = {key: value for key, value in metrics.items() if key in SHOWN or key.startswith("reward/")}
        self._advance(done, **shown)

    def message(self, text: str, *, warn: bool = False) -> None:
        (self.console.warn if warn else self.console.info)(text)

    def finish(self) -> None:
        self._stack.close()

    def _advance(self, done: int, **numbers: float) -> None:
        if self._bar is not None:
            self._bar.advance(done - self._done, **numbers)
        self._done = done
