"""Noise-aware training: what honest means, and what official does."""

import pytest
import torch

from motionrft.reward.motionreward.noise import (
    NoiseSettings,
    add_noise,
    alphas_cumprod,
    noise_batch,
    official_timestep_weights,
    timestep_weights,
)

LENGTHS = torch.tensor([12, 5, 9, 12])
MOTION = torch.randn(4, 12, 3, generator=torch.Generator().manual_seed(0))
MOTION[1, 5:], MOTION[2, 9:] = 0, 0


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_keeps_unit_variance() -> None:
    table = alphas_cumprod()
    x = torch.randn(2000, 50, generator=draws())
    noised = add_noise(x, torch.randn(2000, 50, generator=draws(1)), torch.full((2000,), 300), table)
    assert noised.var().item() == pytest.approx(1.0, abs=0.02)
    assert table[0] > 0.999 and table[-1] < 0.01


def test_honest_weights_put_four_fifths_in_the_first_tenth() -> None:
    weights = timestep_weights(500)
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights[:50].sum().item() == pytest.approx(0.8)


def test_official_weights_do_not() -> None:
    weights = official_timestep_weights(500)
    assert (weights[:50].sum() / weights.sum()).item() == pytest.approx(0.262, abs=1e-3)
    with pytest.raises(ValueError, match="above 101"):
        official_timestep_weights(101)


def test_honest_clean_samples_are_untouched_and_at_time_zero() -> None:
    settings = NoiseSettings(probability=0.5)
    batches = [noise_batch(MOTION, LENGTHS, settings, alphas_cumprod(), draws(seed)) for seed in range(20)]
    noised = torch.stack([(batch.motion != MOTION).flatten(1).any(1) for batch in batches])
    assert 0.3 < noised.float().mean() < 0.7
    batch, changed = next((b, n) for b, n in zip(batches, noised, strict=True) if 0 < n.sum() < 4)
    assert torch.equal(batch.motion[~changed], MOTION[~changed])
    assert (batch.t[~changed] == 0).all()
    assert torch.equal(batch.target, MOTION)
    assert batch.motion[1, 5:].abs().sum() == 0


@pytest.mark.parametrize("compat", ["honest", "official"])
def test_rows_of_a_batch_are_noised_as_among_all(compat: str) -> None:
    settings, rows = NoiseSettings(probability=0.9, compat=compat), slice(1, 3)
    whole = noise_batch(MOTION, LENGTHS, settings, alphas_cumprod(), draws())
    part = noise_batch(
        MOTION[rows], LENGTHS[rows], settings, alphas_cumprod(), draws(), rows, batch=len(MOTION)
    )
    assert torch.equal(part.motion, whole.motion[rows]) and torch.equal(part.t, whole.t[rows])
    assert not torch.equal(part.motion, MOTION[rows])


def test_official_noises_all_or_none_and_aims_at_the_noised() -> None:
    settings = NoiseSettings(probability=1.0, compat="official")
    batch = noise_batch(MOTION, LENGTHS, settings, alphas_cumprod(), draws())
    assert torch.equal(batch.target, batch.motion)
    assert batch.motion[1, 5:].abs().sum() > 0
    never = noise_batch(
        MOTION, LENGTHS, NoiseSettings(probability=0.0, compat="official"), alphas_cumprod(), draws()
    )
    assert torch.equal(never.motion, MOTION) and never.t.sum() > 0
