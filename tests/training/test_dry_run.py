"""A dry run measures and leaves nothing."""

from pathlib import Path

import pytest
import torch
from torch import nn

from motionrft.training.dry_run import TIMED, DryRun, DryRunDone
from motionrft.training.loop import train
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.run import RunFolder


class Trainer:
    """A line through nothing; each call makes two updates."""

    def __init__(self) -> None:
        self.module = nn.Linear(3, 2)
        self.optimiser = Optimiser(self.module, AdamWSettings(lr=0.1))
        self.calls = 0

    def update(self, step: int) -> list[dict[str, float]]:
        self.calls += 1
        self.module(torch.ones(3)).sum().backward()
        return [self.optimiser.step(), {}]

    def state_dict(self) -> dict[str, torch.Tensor]:
        return dict(self.module.state_dict())

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.module.load_state_dict(state)


def test_a_dry_run_ends_before_anything_is_saved(tmp_path: Path) -> None:
    trainer = Trainer()
    with RunFolder.open(tmp_path / "run", {}, {}) as folder, pytest.raises(DryRunDone) as ended:
        train(trainer, folder, updates=1000, checkpoint_every=1, progress=DryRun("toy"))
    cost = ended.value.cost
    assert (cost.loop, cost.parameters, cost.updates, cost.checkpoint_bytes) == ("toy", 8, 1000, 32)
    assert trainer.calls == 1 + TIMED and cost.seconds_per_update > 0 and cost.peak_bytes > 2**20
    assert folder.steps() == []
