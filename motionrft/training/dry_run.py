"""What a training will cost, from three updates of it: nothing is saved and nothing goes on afterwards."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from motionrft.training.memory import MemoryMeter
from motionrft.training.optimiser import Optimiser
from motionrft.training.state import split_tree

TIMED = 2
"""Calls of `update` that are timed, after one that is not (it compiles, fills caches, finds memory)."""


@dataclass(frozen=True)
class Cost:
    """The estimate for one training loop."""

    loop: str
    """What the loop is called (`semantic`, `denoiser`)."""
    parameters: int
    """Trained numbers."""
    updates: int | None
    """Updates planned; None when a time limit ends the loop."""
    seconds_per_update: float
    peak_bytes: int
    """Of the accelerator if there is one, else of the process."""
    checkpoint_bytes: int
    """One checkpoint on disk."""


class DryRunDone(Exception):
    """Ends a dry run from inside the loop: the cost is known."""

    def __init__(self, cost: Cost) -> None:
        super().__init__("dry run only")
        self.cost = cost


class Measurable(Protocol):
    """What is needed of a trainer here."""

    def update(self, step: int) -> Any:
        """Make one update, or several; metrics of each."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint would hold."""


class DryRun:
    """Given to `train` as its progress, it makes `train` measure instead of training."""

    def __init__(self, loop: str) -> None:
        self.loop = loop

    def measure(self, trainer: Measurable, updates: int | None) -> Cost:
        """Make one update unseen and `TIMED` under the clock.

        Args:
            trainer: what `train` would train; its weights change.
            updates: how many were planned.
        """
        trainer.update(0)
        began, made = time.perf_counter(), 0
        for step in range(1, 1 + TIMED):
            metrics = trainer.update(step)
            made += 1 if isinstance(metrics, Mapping) else len(metrics)
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()  # updates are queued, and a queue takes no time
        seconds = (time.perf_counter() - began) / max(made, 1)
        tensors, _ = split_tree(trainer.state_dict())
        return Cost(
            self.loop,
            sum(each.numel() for optimiser in _optimisers(trainer) for each in optimiser.named.values()),
            updates,
            seconds,
            MemoryMeter().read()["peak_bytes"],
            sum(tensor.nbytes for tensor in tensors.values()),
        )

    def start(
        self, total: int | None, done: int, unit: str = "updates", seconds: float | None = None
    ) -> None: ...

    def update(self, done: int, metrics: Mapping[str, float]) -> None: ...

    def message(self, text: str, *, warn: bool = False) -> None: ...

    def finish(self) -> None: ...


def _optimisers(trainer: Measurable) -> list[Optimiser]:
    return [value for value in vars(trainer).values() if isinstance(value, Optimiser)]
