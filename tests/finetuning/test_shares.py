"""What each term gives of what moves the weights."""

import pytest
import torch

from motionrft.finetuning.shares import GradientShares, spread_shares
from tests.finetuning.small import small_preset, small_trainer

DIRECTIONS = {"up": torch.tensor([3.0, 4.0]), "along": torch.tensor([0.0, 1.0])}
WEIGHTS = {"up": 0.1, "along": 2.0}


def linear_reward(motion, lengths, condition, t=0):
    terms = {name: (motion * direction).sum((1, 2)) for name, direction in DIRECTIONS.items()}
    terms["still"] = torch.ones(len(motion))
    return sum(WEIGHTS.get(name, 0.0) * value for name, value in terms.items()), terms


def test_shares_are_those_of_the_weighed_gradients():
    shares = GradientShares(linear_reward, WEIGHTS)
    motion = torch.randn(2, 1, 2, requires_grad=True)
    shares.ask()
    total, _ = shares(motion, None, None)
    total.sum().backward()
    found = {name: float(value) for name, value in shares.taken().items()}
    assert found == pytest.approx({"share/up": 0.5 / 2.5, "share/along": 2 / 2.5, "share/still": 0.0})
    assert shares.taken() == {}
    shares(motion, None, None)
    assert shares.taken() == {}, "only what was asked for is measured"


def test_without_gradient_the_spreads_say_it():
    terms = {"up": torch.tensor([1.0, 3.0]), "along": torch.tensor([0.0, 0.3])}
    found = spread_shares(terms, WEIGHTS)
    assert float(found["share/up"]) == pytest.approx(0.1 / 0.4)


@pytest.mark.parametrize("method", [{"method": "easytune", "k": 2}, {"method": "ddpo", "group": 2}])
def test_the_first_update_of_each_trajectory_tells_them(method):
    trainer = small_trainer(small_preset(method=method, updates=4, steps=4, eta=1.0))
    for _ in range(2):
        first, *others = trainer.update(0)
        told = {key: value for key, value in first.items() if key.startswith("share/")}
        assert set(told) == {"share/semantic", "share/similarity"}
        assert sum(told.values()) == pytest.approx(1.0, abs=1e-5)
        assert not any(key.startswith("share/") for line in others for key in line)
