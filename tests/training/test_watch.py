"""The watch sees a planted exploit that the reward applauds (fault 34's logic)."""

import math
import os
import signal
from pathlib import Path

import pytest
import torch

from motionrft.errors import Interrupted
from motionrft.training.loop import train
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.run import RunFolder
from motionrft.training.watch import Finding, Watch, Watched

JITTER = Watched("jitter", "lower", 0.25)
DISTANCE = Watched("mm_dist", "lower", 0.01, relative=False, goal=True)
ENERGY = Watched("energy", "steady", 0.2)


def test_drift_is_counted_in_tolerances() -> None:
    assert JITTER.drift(2.0, 2.5) == 1.0 and JITTER.drift(2.0, 1.0) == 0.0
    assert math.isclose(DISTANCE.drift(3.0, 3.02), 2.0) and math.isclose(DISTANCE.drift(3.0, 2.99), -1.0)
    assert math.isclose(ENERGY.drift(10.0, 6.0), 2.0) and math.isclose(ENERGY.drift(10.0, 14.0), 2.0)
    assert math.isclose(Watched("r", "higher", 0.1, goal=True).drift(0.5, 0.45), 1.0)
    assert JITTER.drift(2.0, math.nan) == math.inf and JITTER.drift(0.0, 1.0) > 1e9


def _watch() -> Watch:
    watch = Watch([JITTER, DISTANCE, ENERGY], stop=3.0)
    watch.begin({"jitter": 1.0, "mm_dist": 3.0, "energy": 10.0, "reward": 0.5})
    return watch


def _look(watch: Watch, step: int, jitter: float, distance: float, energy: float = 10.0) -> Finding:
    return watch.look(step, {"jitter": jitter, "mm_dist": distance, "energy": energy})


def test_getting_better_is_best_and_a_guard_cannot_pay_for_a_goal() -> None:
    watch = _watch()
    assert _look(watch, 10, 1.0, 2.98) == Finding(best=True)
    assert _look(watch, 20, 0.1, 2.985) == Finding()  # smoother, but further from the text
    assert _look(watch, 30, 1.1, 2.95).best
    assert watch.best_step == 30


def test_a_warning_is_never_the_best_and_three_tolerances_end_the_run() -> None:
    watch = _watch()
    verdict = _look(watch, 10, 1.3, 2.5)
    assert verdict == Finding(("jitter went from 1 to 1.3 (+30 %)",), None, False)
    verdict = _look(watch, 20, 1.8, 2.5)
    assert verdict.stop is not None and "jitter" in verdict.stop and "nothing was better" in verdict.stop
    assert "mm_dist went from 3 to nan" in _look(watch, 30, 1.0, math.nan).stop


def test_frozen_motion_is_noticed() -> None:
    assert "energy" in _look(_watch(), 10, 1.0, 2.9, energy=1.0).stop


def test_beginning_needs_every_series() -> None:
    with pytest.raises(ValueError, match="mm_dist, energy"):
        Watch([JITTER, DISTANCE, ENERGY]).begin({"jitter": 1.0, "energy": math.inf})


def test_memory_survives_a_checkpoint() -> None:
    first, second = _watch(), Watch([JITTER, DISTANCE, ENERGY])
    _look(first, 10, 1.0, 2.95)
    second.load_state_dict(first.state_dict())
    assert not _look(second, 20, 1.0, 2.96).best and second.best_step == 10


class HighHands:
    """A hand's height and its shake. The reward pays for height alone, and shaking lifts the hand.

    At first, lifting also brings the hand to where the text wants it (0.3 m); then it goes on for the reward.
    """

    def __init__(self) -> None:
        self.hand = torch.nn.ParameterDict({"height": torch.zeros(1), "shake": torch.zeros(1)})
        self.optimiser = Optimiser(self.hand, AdamWSettings(lr=0.02, clip=None))
        self.watch = Watch([Watched("jitter", "lower", 0.25), Watched("distance", "lower", 0.1, goal=True)])
        self.watch.begin(self.held_out())

    def held_out(self) -> dict[str, float]:
        height, shake = (self.hand[name].item() for name in ("height", "shake"))
        return {"jitter": 1.0 + shake**2, "distance": 0.2 + abs(height - 0.3)}

    def reward(self) -> torch.Tensor:
        return self.hand["height"].sum() + self.hand["shake"].sum()

    def update(self, step: int) -> dict[str, float]:
        reward = self.reward()
        (-reward).backward()
        self.optimiser.step()
        return {"reward": reward.item()}

    def looked(self, step: int) -> Finding | None:
        return self.watch.look(step, self.held_out()) if step % 5 == 0 else None

    def state_dict(self) -> dict:
        parts = {"hand": self.hand, "optimiser": self.optimiser, "watch": self.watch}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict) -> None:
        self.hand.load_state_dict(state["hand"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.watch.load_state_dict(state["watch"])


def test_a_planted_exploit_is_stopped_and_the_best_checkpoint_is_not_the_last(tmp_path: Path) -> None:
    trainer = HighHands()
    with RunFolder.open(tmp_path / "run", {}, {}) as folder:
        outcome = train(trainer, folder, updates=1000, checkpoint_every=50, watch=trainer.looked)
        assert "the watch stopped the run" in outcome.reason and outcome.step < 100
        best = folder.best()
        assert best is not None and best < outcome.step == folder.steps()[-1]
        rewards = [line["reward"] for line in folder.read_metrics()]
        assert rewards == sorted(rewards)  # the reward alone would have taken the last
        kept = folder.load(best)["trainer"]["hand"]
        assert abs(kept["height"].item() - 0.3) < 0.1


def test_a_stopped_run_stays_stopped_and_can_be_sent_on_unwatched(tmp_path: Path) -> None:
    trainer = HighHands()
    with RunFolder.open(tmp_path / "run", {}, {}) as folder:
        stopped = train(trainer, folder, updates=1000, watch=trainer.looked, keep_start=True)
    again = HighHands()
    with RunFolder.open(tmp_path / "run", {}, {}, resume=True) as folder:
        resumed = train(again, folder, updates=1000, watch=again.looked, keep_start=True)
        assert (resumed.step, resumed.reason) == (stopped.step, stopped.reason)
        assert train(HighHands(), folder, updates=stopped.step + 3).step == stopped.step + 3


def test_the_start_is_the_best_when_nothing_is_better(tmp_path: Path) -> None:
    trainer = HighHands()
    trainer.watch = Watch([Watched("jitter", "lower", 0.25)])
    trainer.watch.begin(trainer.held_out())
    with RunFolder.open(tmp_path / "run", {}, {}) as folder:
        outcome = train(trainer, folder, updates=1000, keep=1, watch=trainer.looked, keep_start=True)
        assert "nothing was better than the start" in outcome.reason
        assert folder.best() == 0
        assert folder.load(0)["trainer"]["hand"]["shake"].item() == 0.0


def test_warnings_reach_the_person_who_waits(tmp_path: Path) -> None:
    said: list[str] = []

    class Notes:
        start = update = finish = staticmethod(lambda *arguments, **more: None)
        message = staticmethod(lambda text, warn=False: said.append(text))

    trainer = HighHands()
    train(trainer, updates=60, watch=trainer.looked, progress=Notes())
    assert any(text.startswith("Watch, update") and "distance went from" in text for text in said)


def test_sigterm_outside_the_loop_ends_in_order(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="--resume") as caught, RunFolder.open(tmp_path / "run", {}, {}):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert caught.value.exit_code == 75
    assert signal.getsignal(signal.SIGTERM) == before
    RunFolder.open(tmp_path / "run", {}, {}, resume=True).close()
