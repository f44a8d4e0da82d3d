"""A time limit sets the end of the cosine: the rate is at its floor when the time is over, on any machine."""

import pytest
import torch
from torch import nn

from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.timed import Timed, timed


class Slow:
    """One weight; every update takes `seconds` of a clock that only it moves."""

    def __init__(self, seconds: float, total: int) -> None:
        self.weight, self.seconds, self.clock = nn.Parameter(torch.zeros(1)), seconds, 0.0
        settings = AdamWSettings(lr=1.0, floor=0.1)
        self.optimiser = Optimiser([("weight", self.weight)], settings, total=total)

    def update(self, step: int) -> dict[str, float]:
        self.clock += self.seconds
        (self.weight**2).sum().backward()
        return self.optimiser.step()

    def state_dict(self) -> dict[str, float]:
        return {"clock": self.clock}

    def load_state_dict(self, state: dict[str, float]) -> None:
        assert set(state) == {"clock"}


def run(trainer: Slow, limit: float, planned: int) -> list[float]:
    """The rates until the time is over."""
    walk, rates, step = Timed(trainer, limit, planned, now=lambda: trainer.clock), [], 0
    while trainer.clock < limit and step < planned:
        rates.append(walk.update(step)["lr"])
        step += 1
    return rates


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_the_rate_is_at_its_floor_when_the_time_is_over(seconds: float) -> None:
    rates = run(Slow(seconds, 100_000), 200.0, 100_000)
    assert rates[0] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert rates == sorted(rates, reverse=True)


def test_planned_updates_that_fit_are_made_as_planned() -> None:
    plain = Slow(0.1, 60)
    assert run(Slow(0.1, 60), 1e6, 60) == [plain.update(step)["lr"] for step in range(60)]


def test_a_resumed_training_has_the_rest_of_its_time() -> None:
    first = Slow(1.0, 100_000)
    walk = Timed(first, 200.0, 100_000, now=lambda: first.clock)
    for step in range(100):
        walk.update(step)
    second = Slow(1.0, 100_000)
    second.clock = 1000.0
    resumed = Timed(second, 200.0, 100_000, now=lambda: second.clock)
    resumed.load_state_dict(walk.state_dict())
    for step in range(100, 141):
        resumed.update(step)
    assert second.optimiser.total == pytest.approx(200, abs=2)


def test_without_a_limit_the_trainer_is_as_it_was() -> None:
    trainer = Slow(1.0, 10)
    assert timed(trainer, None, 10) is trainer
