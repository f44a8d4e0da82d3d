"""Rewards that misbehave in the middle of a run (fault 22)."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from motionrft.errors import RunError
from motionrft.finetuning.trainer import FinetuneTrainer
from motionrft.training.distribution import Distribution
from motionrft.training.loop import train
from motionrft.training.progress import Silent
from motionrft.training.run import RunFolder
from tests.finetuning.small import small_preset, small_trainer


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.lines: list[dict] = []

    def update(self, done, metrics) -> None:
        self.lines.append(dict(metrics))

    def message(self, text: str, *, warn: bool = False) -> None:
        self.said.append(text)


def _trainer(spoil: Callable[[int, Tensor], Tensor], updates: int) -> FinetuneTrainer:
    """A trainer whose reward passes through `spoil(number of the call, reward)`."""
    trainer = small_trainer(small_preset(method={"method": "easytune", "k": 4}, steps=5, updates=updates))
    judge, calls = trainer.context.reward, itertools.count()

    def spoilt(*arguments):
        total, terms = judge(*arguments)
        return spoil(next(calls), total), terms

    trainer.context = replace(trainer.context, reward=spoilt)
    return trainer


def _finite(trainer: FinetuneTrainer) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in trainer.parameters.values())


def test_nan_at_one_step_is_skipped_counted_and_forgotten() -> None:
    trainer, notes = _trainer(lambda call, r: r * float("nan") if call == 2 else r, updates=8), Notes()
    train(trainer, updates=8, progress=notes)
    assert [line["skipped"] for line in notes.lines] == [0, 0, 1, 1, 1, 1, 1, 1]
    assert _finite(trainer)


def test_nan_for_one_item_alone_leaves_the_weights_finite() -> None:
    def one_item(call: int, reward: Tensor) -> Tensor:
        return torch.where(torch.arange(len(reward)) == 0, reward * float("inf"), reward)

    trainer = _trainer(one_item, updates=4)
    train(trainer, updates=4)
    assert _finite(trainer) and trainer.optimiser.skipped == 4


def test_nan_for_ever_halves_the_rate_once_and_ends_with_a_diagnosis() -> None:
    trainer = _trainer(lambda call, r: r * float("nan") if call >= 4 else r, updates=100)
    with pytest.raises(RunError, match=r"no finite gradient, at update 24\. First: gradient of "):
        train(trainer, updates=100)
    assert trainer.optimiser.scale == 0.5 and _finite(trainer)


def test_a_constant_reward_is_warned_of() -> None:
    trainer, notes = _trainer(lambda call, r: 0.0 * r + 1.0, updates=8), Notes()
    before = [p.detach().clone() for p in trainer.parameters.values()]
    train(trainer, updates=8, progress=notes)
    assert [text for text in notes.said if "No gradient" in text] == notes.said and len(notes.said) == 1
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.parameters.values(), strict=True))


def test_a_reward_without_a_graph_is_warned_of_and_ends() -> None:
    trainer, notes = _trainer(lambda call, r: r.detach(), updates=8), Notes()
    with pytest.raises(RunError, match="no gradient"):
        train(trainer, updates=8, progress=notes)
    assert len(notes.said) == 1


@pytest.mark.parametrize("spoil", [lambda r: r[:, None], lambda r: r.mean(), lambda r: r[:-1]])
def test_a_reward_of_another_shape_is_refused(spoil: Callable[[Tensor], Tensor]) -> None:
    trainer = _trainer(lambda call, r: spoil(r), updates=4)
    with pytest.raises(RunError, match="one number a motion"):
        train(trainer, updates=4)


def test_a_reward_that_raises_ends_the_run_and_the_checkpoint_stays(tmp_path) -> None:
    def fall(call: int, reward: Tensor) -> Tensor:
        if call == 6:
            raise ZeroDivisionError("item 3")
        return reward

    with RunFolder.open(tmp_path / "run", {}, {}) as folder:
        with pytest.raises(ZeroDivisionError):
            train(_trainer(fall, updates=12), folder, updates=12, checkpoint_every=2)
        assert folder.load_latest()[0] == 4


@pytest.mark.parametrize("meets", [False, True])
def test_memory_that_ends_in_mid_trajectory_ends_a_run_that_others_are_in_step_with(meets: bool) -> None:
    """Alone, the trajectory ends there; of several, the others have gone on from the first update's message."""

    def full(call: int, reward: Tensor) -> Tensor:
        if call == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return reward

    trainer = _trainer(full, updates=8)
    step = trainer.optimiser.step

    def meeting() -> dict:
        trainer.distribution.messages += meets
        return step()

    trainer.optimiser.step = meeting
    if meets:
        half = (trainer.micro_batch + 1) // 2
        with pytest.raises(RunError, match=f"several processes.*micro_batch={half}"):
            train(trainer, updates=8)
    else:
        train(trainer, updates=8)


@pytest.mark.parametrize("rank", [0, 1])
def test_every_process_says_that_its_own_memory_ended(rank: int, caplog: pytest.LogCaptureFixture) -> None:
    trainer, said = _trainer(lambda call, r: r, updates=1), list[str]()
    trainer.say, trainer.distribution = said.append, Distribution(rank, processes=2)
    trainer._halve()
    told = said if rank == 0 else [record.getMessage() for record in caplog.records]
    assert len(said) + len(caplog.records) == 1 and "Out of memory" in told[0]
    assert told[0].startswith("process 1: ") == (rank == 1)
