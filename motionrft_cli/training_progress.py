"""A training loop's progress on the console: bar, newest numbers, memory."""

from collections.abc import Mapping
from contextlib import ExitStack

from motionrft_cli.console import Console, Progress

SHOWN = ("reward", "loss", "validation_loss", "grad_norm", "lr")
"""Metrics worth a glance, the one that must be visible first; terms of a reward (`reward/…`) are shown too, everything
else is in metrics.jsonl."""


class LoopProgress:
    """What `motionrft.training.loop.train` talks to (its `Progress` protocol)."""

    def __init__(self, console: Console, description: str):
        self.console, self.description = console, description
        self._stack = ExitStack()
        self._bar: Progress | None = None
        self._done = 0

    def start(
        self, total: int | None, done: int, unit: str = "updates", seconds: float | None = None
    ) -> None:
        shown = self.console.progress(self.description, total, unit, done, seconds)
        self._bar = self._stack.enter_context(shown)
        self._done = done

    def update(self, done: int, metrics: Mapping[str, float]) -> None:
        known = [key for key in SHOWN if key in metrics]
        terms = [key for key in metrics if key.startswith("reward/")]
        if self._bar is not None:
            shown = {key: metrics[key] for key in (*known[:1], *terms, *known[1:])}
            self._bar.advance(done - self._done, **shown)
        self._done = done

    def message(self, text: str, *, warn: bool = False) -> None:
        (self.console.warn if warn else self.console.info)(text)

    def finish(self) -> None:
        self._stack.close()
