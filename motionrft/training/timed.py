"""A training that has so much time: its rate falls with the time that is left, not with updates nobody will make."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from motionrft.training.loop import Metrics, Trainer
from motionrft.training.optimiser import Optimiser

_EVERY = 20
"""Updates between two estimates of how many there will be."""
_SPENT = "time_spent"


class RatedTrainer(Trainer, Protocol):
    """A trainer whose rate an `Optimiser` sets."""

    optimiser: Optimiser


class Timed:
    """`trainer` for `limit` seconds, `planned` updates at most: where time is the shorter, the cosine ends with it.

    Nothing is lost if the machine turns out slower or faster than it was: the estimate is made again and again.
    """

    def __init__(
        self,
        trainer: RatedTrainer,
        limit: float,
        planned: int,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.trainer, self.limit, self.planned, self.now = trainer, limit, planned, now
        self._earlier = 0.0
        self._first: tuple[int, float] | None = None

    def update(self, step: int) -> Metrics | Sequence[Metrics]:
        if self._first is None:
            self._first = (step, self.now())
        first, began = self._first
        if step > first and (step - first) % _EVERY == 0:
            spent = self.now() - began
            left = max(self.limit - self._earlier - spent, 0.0)
            fits = step + round(left * (step - first) / max(spent, 1e-9))
            self.trainer.optimiser.total = max(step + 1, min(self.planned, fits))
        return self.trainer.update(step)

    def state_dict(self) -> dict[str, Any]:
        now = 0.0 if self._first is None else self.now() - self._first[1]
        return {**self.trainer.state_dict(), _SPENT: self._earlier + now}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._earlier = float(state.get(_SPENT, 0.0))
        self.trainer.load_state_dict({name: value for name, value in state.items() if name != _SPENT})


def timed(trainer: RatedTrainer, limit: float | None, planned: int) -> Trainer:
    """The trainer as it is, or `Timed`."""
    return trainer if limit is None else Timed(trainer, limit, planned)
