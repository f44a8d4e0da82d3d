"""Noise-aware training: which motions of a batch are noised, how much, and what timestep the towers see.

`honest` (ours): each sample is noised with its own probability and step, a clean motion carries t = 0, noise
stays on valid frames, and the decoder's target is the clean motion. `official`: the published recipe, where a
whole batch is noised or not, clean batches still carry random timesteps, padding is noised too, and the
target is the noised motion.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from motionrft.lengths import zero_padding
from motionrft.moving import moved

STEPS = 1000


@dataclass(frozen=True)
class NoiseSettings:
    """How motions are noised while a reward is trained.

    probability: share of samples (honest) or of batches (official) that are noised; 0 never. The published
        "NoiseThr" is 1 - probability.
    max_t: timesteps are drawn below it.
    early: share of the draws in the first tenth of [0, max_t), honest only.
    """

    probability: float = 0.1
    max_t: int = 500
    early: float = 0.8
    compat: Literal["honest", "official"] = "honest"


@dataclass(frozen=True)
class Noised:
    """motion (B, T, ...): the towers' input; target: the decoder's; t (B,): the towers' timestep."""

    motion: Tensor  # (B, T, ...)
    target: Tensor  # (B, T, ...)
    t: Tensor  # (B,)


def alphas_cumprod(steps: int = STEPS) -> Tensor:
    """Cumulative products of the scaled-linear DDPM schedule, betas from 0.00085 to 0.012, (steps,)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, steps, dtype=torch.float32) ** 2  # (steps,)
    return torch.cumprod(1.0 - betas, dim=0)  # (steps,)


def add_noise(x0: Tensor, noise: Tensor, t: Tensor, table: Tensor) -> Tensor:
    """sqrt(abar_t) x0 + sqrt(1 - abar_t) noise; x0 (B, ...), t (B,), table (steps,)."""
    abar = table.to(x0.device)[t].reshape(-1, *(1,) * (x0.dim() - 1))  # (B, 1, ...)
    return abar.sqrt() * x0 + (1.0 - abar).sqrt() * noise  # (B, ...)


def timestep_weights(max_t: int, early: float = 0.8) -> Tensor:
    """Probabilities (max_t,) of a timestep: `early` of the mass in the first tenth, the rest behind it."""
    first = max(1, max_t // 10)
    weights = torch.full((max_t,), (1.0 - early) / max(1, max_t - first))  # (max_t,)
    weights[:first] = early / first
    return weights / weights.sum()  # (max_t,)


def official_timestep_weights(max_t: int) -> Tensor:
    """MotionReward's published multinomial weights (max_t,), which do not sum to one.

    For max_t 500 they give the first tenth 0.26 of the draws, not the 0.8 that the numbers suggest.

    Raises:
        ValueError: max_t is 101 or less, where the published expression divides by zero or turns negative.
    """
    if max_t <= 101:
        raise ValueError(f"the official timestep weights need max_t above 101, not {max_t}")
    weights = torch.full((max_t,), 0.2 / (max_t - 101))  # (max_t,)
    weights[: max_t // 10] = 0.8 / max_t
    return weights


def noise_batch(
    motion: Tensor,
    lengths: Tensor,
    settings: NoiseSettings,
    table: Tensor,
    generator: torch.Generator | None = None,
    rows: slice = slice(None),
    batch: int | None = None,
) -> Noised:
    """Draw steps and noise for a batch of normalised motions (B, T, ...), with the generator on the CPU.

    Args:
        rows: of a batch of `batch`, where motions and lengths are these alone: what is drawn is as for all of them.
    """
    batch = len(motion) if batch is None else batch
    if settings.compat == "official":
        return _official(motion, settings, table, generator, rows, batch)
    if settings.probability == 0.0:
        return Noised(motion, motion, lengths.new_zeros(len(motion)))
    chosen = torch.rand(batch, generator=generator)[rows] < settings.probability  # (B,) bool
    weights = timestep_weights(settings.max_t, settings.early)  # (max_t,)
    t = torch.multinomial(weights, batch, replacement=True, generator=generator)[rows]  # (B,)
    noise = _normal(motion, generator, rows, batch)  # (B, T, ...)
    noised = zero_padding(add_noise(motion, noise, moved(t, motion.device), table), lengths)  # (B, T, ...)
    where = moved(chosen, motion.device).reshape(-1, *(1,) * (motion.dim() - 1))  # (B, 1, ...)
    seen = moved(torch.where(chosen, t, 0), motion.device)  # (B,)
    return Noised(torch.where(where, noised, motion), motion, seen)


def _official(
    motion: Tensor,
    settings: NoiseSettings,
    table: Tensor,
    generator: torch.Generator | None,
    rows: slice,
    batch: int,
) -> Noised:
    weights = official_timestep_weights(settings.max_t)  # (max_t,)
    t = moved(torch.multinomial(weights, batch, replacement=True, generator=generator)[rows], motion.device)
    if torch.rand((), generator=generator) >= settings.probability:
        return Noised(motion, motion, t)
    noised = add_noise(motion, _normal(motion, generator, rows, batch), t, table)
    return Noised(noised, noised, t)


def _normal(motion: Tensor, generator: torch.Generator | None, rows: slice, batch: int) -> Tensor:
    """Standard normal numbers of the motions' shape: those rows of a whole batch's."""
    drawn = torch.randn(batch, *motion.shape[1:], generator=generator)[rows]
    return moved(drawn, motion.device).to(motion.dtype)
