"""The averaged weights: closed form, applied and taken back."""

import torch
from torch import nn

from motionrft.training.ema import Ema


def test_average_of_a_constant_is_the_constant_and_the_warm_up_forgets_the_start() -> None:
    layer = nn.Linear(2, 1)
    ema = Ema(layer, decay=0.9)
    start = layer.weight.detach().clone()
    nn.init.constant_(layer.weight, 3.0)
    expected = start
    for n in range(1, 400):
        ema.update()
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * 3.0
    torch.testing.assert_close(ema.average["weight"], expected)
    torch.testing.assert_close(ema.average["weight"], torch.full((1, 2), 3.0))


def test_applied_within_the_block_only() -> None:
    layer = nn.Linear(2, 1)
    ema = Ema(layer)
    averaged = layer.weight.detach().clone()
    nn.init.zeros_(layer.weight)
    with ema.applied():
        assert torch.equal(layer.weight, averaged)
    assert torch.equal(layer.weight, torch.zeros(1, 2))


def test_frozen_parameters_are_not_averaged() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1).requires_grad_(False))
    assert list(Ema(model).average) == ["0.weight", "0.bias"]
