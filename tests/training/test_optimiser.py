"""One optimiser: equal to plain AdamW with clipping, and safe from what is not finite (fault 22)."""

import math

import pytest
import torch
from torch import nn

from motionrft.errors import RunError
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.preset import OptimiserPreset
from motionrft.training.schedule import rate_factor

SETTINGS = AdamWSettings(lr=0.01, weight_decay=0.1, clip=0.5, warmup=3, floor=0.1)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def _loss(model: nn.Module, seed: int) -> torch.Tensor:
    return model(torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))).exp().sum()


def test_schedule_climbs_falls_and_stays() -> None:
    factors = [rate_factor(u, warmup=4, total=14, floor=0.2) for u in range(20)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0 and math.isclose(factors[9], 0.6) and math.isclose(factors[14], 0.2)
    assert factors[14:] == [factors[14]] * 6
    assert rate_factor(10**6, warmup=4) == 1.0


def test_equals_plainly_written_adamw_with_clip_and_schedule() -> None:
    ours, plain = _model(), _model()
    optimiser = Optimiser(ours, SETTINGS, total=10)
    adam = torch.optim.AdamW(plain.parameters(), lr=SETTINGS.lr, weight_decay=0.1)
    for update in range(10):
        optimiser.backward(_loss(ours, update))
        numbers = optimiser.step()
        _loss(plain, update).backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        adam.param_groups[0]["lr"] = 0.01 * rate_factor(update, 3, 10, 0.1)
        adam.step()
        adam.zero_grad()
        assert (
            math.isclose(numbers["grad_norm"], norm, rel_tol=1e-5)
            and numbers["lr"] == adam.param_groups[0]["lr"]
        )
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)  # ours is fused: the same sums in another order
        assert a.grad is None


def test_a_preset_group_serves_as_settings() -> None:
    assert Optimiser(_model(), OptimiserPreset(lr=0.5)).lr == 0.5


def test_accumulated_halves_equal_the_whole_batch() -> None:
    whole, halves = _model(), _model()
    for model, parts in ((whole, [slice(0, 6)]), (halves, [slice(0, 3), slice(3, 6)])):
        optimiser = Optimiser(model, SETTINGS)
        for part in parts:
            optimiser.backward(model(torch.linspace(-1, 1, 18).view(6, 3)[part]).square().sum() / 6)
        optimiser.step()
    for a, b in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def _poisoned(model: nn.Module, optimiser: Optimiser) -> dict[str, float]:
    _loss(model, 0).backward()
    model[2].weight.grad[0, 1] = float("nan")
    return optimiser.step()


def test_a_gradient_that_is_not_finite_is_skipped_and_counted() -> None:
    model = _model()
    optimiser = Optimiser(model, SETTINGS)
    before = [p.clone() for p in model.parameters()]
    assert _poisoned(model, optimiser)["skipped"] == 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
    _loss(model, 1).backward()
    assert optimiser.step()["skipped"] == 1
    assert not torch.equal(before[0], model[0].weight)


def test_ten_in_a_row_bring_back_the_last_good_state_at_half_the_rate_and_ten_more_the_end() -> None:
    model = _model()
    optimiser = Optimiser(model, AdamWSettings(lr=0.01))
    good = [p.clone() for p in model.parameters()]
    for update in range(4):
        _loss(model, update).backward()
        optimiser.step()
    for _ in range(9):
        _poisoned(model, optimiser)
    assert not torch.equal(good[0], model[0].weight) and optimiser.lr == 0.01
    _poisoned(model, optimiser)
    assert all(torch.equal(a, b) for a, b in zip(good, model.parameters(), strict=True))
    assert optimiser.lr == 0.005
    for _ in range(9):
        _poisoned(model, optimiser)
    with pytest.raises(RunError, match=r"gradient of 2\.weight, 1 of 4 values"):
        _poisoned(model, optimiser)


def test_a_poisoned_weight_is_named_before_its_gradients() -> None:
    model = _model()
    with torch.no_grad():
        model[0].bias[1] = float("inf")
    optimiser = Optimiser(model, SETTINGS)
    for _ in range(9):
        _poisoned(model, optimiser)
    with pytest.raises(RunError, match=r"weight 0\.bias, 1 of 4"):
        _poisoned(model, optimiser)


def test_resumed_optimiser_goes_on_alike() -> None:
    first, second = _model(), _model()
    a = Optimiser(first, SETTINGS, total=10)
    for update in range(5):
        _loss(first, update).backward()
        a.step()
    second.load_state_dict(first.state_dict())
    b = Optimiser(second, SETTINGS, total=10)
    b.load_state_dict(a.state_dict())
    for update in range(5, 10):
        for model, optimiser in ((first, a), (second, b)):
            _loss(model, update).backward()
            optimiser.step()
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), second.parameters(), strict=True))


def test_half_precision_scales_the_loss_and_backs_off_without_losing_patience() -> None:
    model = _model()
    optimiser = Optimiser(model, AdamWSettings(lr=0.01), dtype=torch.float16)
    start = optimiser.loss_scale.value
    assert start > 1
    for _ in range(12):
        _poisoned(model, optimiser)
    assert optimiser.loss_scale.value == start / 2**12 and optimiser.lr == 0.01
    plain = _model()
    other = Optimiser(plain, AdamWSettings(lr=0.01))
    optimiser.backward(_loss(model, 0))
    other.backward(_loss(plain, 0))
    assert math.isclose(optimiser.step()["grad_norm"], other.step()["grad_norm"], rel_tol=1e-6)


def test_nothing_to_train_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="nothing to train"):
        Optimiser(nn.Linear(2, 2).requires_grad_(False), SETTINGS)


@pytest.mark.parametrize("largest", [1e-3, 1e3])
def test_clipping_leaves_a_short_gradient_and_shortens_a_long_one(largest: float) -> None:
    """AdamW itself does not see a gradient's length: its first moment does."""
    model = nn.Linear(2, 1, bias=False)
    optimiser = Optimiser(model, AdamWSettings(lr=0.01, clip=1.0))
    (model.weight * torch.tensor([[0.6, 0.8]]) * largest).sum().backward()
    assert math.isclose(optimiser.step()["grad_norm"], largest, rel_tol=1e-5)
    moment = optimiser.adam.state_dict()["state"][0]["exp_avg"].norm()
    assert math.isclose(float(moment), 0.1 * min(largest, 1.0), rel_tol=1e-4)


@pytest.mark.parametrize("rate", [1e300, 1e39])
def test_a_rate_that_breaks_the_weights_ends_the_run_at_that_update(rate: float) -> None:
    model = _model()
    optimiser = Optimiser(model, AdamWSettings(lr=rate))
    _loss(model, 0).backward()
    with pytest.raises(RunError, match=r"left weights that are not finite, first 0\.weight"):
        optimiser.step()
