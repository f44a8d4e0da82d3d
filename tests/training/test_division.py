"""Moments divided over processes: the updates of undivided ones, half of the memory, a state that anybody can load."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from motionrft.errors import UserError
from motionrft.training import packing
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.loop import train
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.run import RunFolder
from tests.processes import together

SETTINGS = AdamWSettings(lr=0.02, weight_decay=0.1, clip=0.5, warmup=2)


class Regression:
    """A trainer whose processes see different rows; the fourth update has a gradient that is not finite, in one."""

    def __init__(self, company: Distribution, divided: bool) -> None:
        torch.manual_seed(0)
        self.company, self.model = company, nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
        self.optimiser = Optimiser(self.model, replace(SETTINGS, divided=divided), total=12, company=company)
        self.rows = torch.randn(12, 4, 6, generator=torch.Generator().manual_seed(1))

    def update(self, step: int) -> dict:
        mine = self.rows[step][self.company.rows(4)]
        self.model(mine).exp().mean().backward()
        if step == 3 and self.company.rank == self.company.processes - 1:
            self.model[2].weight.grad[0, 0] = math.nan
        return self.optimiser.step()

    def state_dict(self) -> dict:
        return {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])

    @property
    def weights(self) -> torch.Tensor:
        return torch.cat([each.detach().flatten() for each in self.model.parameters()])


def test_divided_moments_make_the_same_updates_and_are_saved_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "AT_ONCE", 12)  # of tensors of 48, 8, 8 and 1: three messages

    def act(rank):
        with Distribution.join(torch.device("cpu"), timeout=60) as company:
            for name, divided in (("whole", False), ("divided", True)):
                trainer = Regression(company, divided)
                folder = company.first(lambda name=name: RunFolder.open(tmp_path / name, {}, {}))
                train(trainer, folder, updates=6, distribution=company)
                held = sum(moment["exp_avg"].numel() for moment in trainer.optimiser.adam.state.values())
                trainer = Regression(company, divided)
                train(trainer, folder, updates=12, distribution=company)
                torch.save((trainer.weights, held, trainer.optimiser.skipped), tmp_path / f"{name}{rank}")
                if folder is not None:
                    folder.close()

    assert together(act) == [0, 0]
    whole, count, skipped = torch.load(tmp_path / "whole0")
    parts = [torch.load(tmp_path / f"divided{rank}") for rank in range(2)]
    assert skipped == 1 and sum(held for _, held, _ in parts) == count == len(whole)
    assert max(held for _, held, _ in parts) <= 0.8 * count, (
        "the largest of four parameters is 48 of 65 weights"
    )
    for weights, _, also_skipped in parts:
        torch.testing.assert_close(weights, whole, rtol=1e-5, atol=1e-6)
        assert also_skipped == skipped
    alone = []
    for name in ("whole", "divided"):
        with RunFolder.open(tmp_path / name, {}, {}, resume=True) as folder:
            trainer = Regression(ALONE, divided=True)
            trainer.load_state_dict(folder.load(12)["trainer"])
            alone.append(trainer.optimiser.adam.state_dict()["state"])
    assert alone[0].keys() == alone[1].keys() == set(range(4))
    for number, moments in alone[0].items():
        for name, value in moments.items():
            torch.testing.assert_close(alone[1][number][name], value, rtol=1e-4, atol=1e-7)


def test_more_processes_than_parameters_are_refused():
    with pytest.raises(UserError, match="2 parameters are trained, and 3 processes"):
        Optimiser(nn.Linear(2, 2), replace(SETTINGS, divided=True), company=Distribution(0, 3))


def test_numbers_travel_together_up_to_a_size(monkeypatch):
    monkeypatch.setattr(packing, "AT_ONCE", 10)
    tensors = [
        torch.full(shape, float(number)) for number, shape in enumerate([(4,), (2, 3), (11,), (1,), ()])
    ]
    seen = list(packing.packed(tensors))
    assert [len(part) for part, _ in seen] == [2, 1, 2] and [len(flat) for _, flat in seen] == [10, 11, 2]
    for part, flat in seen:
        packing.unpack(flat + 1, part)
    assert [set(each.flatten().tolist()) for each in tensors] == [{1.0}, {2.0}, {3.0}, {4.0}, {5.0}]
    assert not list(packing.packed([]))
