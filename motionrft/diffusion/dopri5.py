"""Adaptive integration of a flow: Dormand-Prince 5(4) with the usual step control (Hairer et al. 1993, II.4).

Every step asks the host whether the error is small enough, and one item's error sets the step of the whole batch: it
samples, but has no fixed positions that a fine-tuner could plan.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from motionrft.diffusion.sampler import Sampler

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(t (), x) -> dx/dt like x."""

_TIMES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_FIFTH = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
_FOURTH = (1951 / 21600, 0.0, 22642 / 50085, 451 / 720, -12231 / 42400, 649 / 6300, 1 / 60)
"""Shampine's embedded fourth-order weights (1986); the last belongs to the slope at the step's end."""
_ERROR = tuple(fifth - fourth for fifth, fourth in zip((*_FIFTH, 0.0), _FOURTH, strict=True))
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0


def integrate(velocity: Velocity, x: Tensor, rtol: float = 1e-3, atol: float = 1e-6) -> Tensor:
    """The state at t = 1 of dx/dt = velocity(t, x) from `x` at t = 0."""
    t, slope = 0.0, velocity(x.new_zeros(()), x)
    h = _first_step(velocity, x, slope, rtol, atol)
    while t < 1:
        h = min(h, 1 - t)
        landed, end_slope, error = _step(velocity, t, h, x, slope)  # (B, ...) each
        ratio = _norm(error / (atol + rtol * torch.maximum(x.abs(), landed.abs())))
        if ratio <= 1:
            t, x, slope = t + h, landed, end_slope
        h = h * _factor(ratio)
    return x


def _step(velocity: Velocity, t: float, h: float, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The fifth-order end of a step, the slope there, and the error estimate."""
    slopes = [slope]
    for time, weights in list(zip(_TIMES, _STAGES, strict=True))[1:]:
        moved = x + h * _weighted(slopes, weights)  # (B, ...)
        slopes.append(velocity(x.new_tensor(t + time * h), moved))
    landed = x + h * _weighted(slopes, _FIFTH)  # (B, ...)
    slopes.append(velocity(x.new_tensor(t + h), landed))
    return landed, slopes[-1], h * _weighted(slopes, _ERROR)  # (B, ...) each


def _weighted(slopes: list[Tensor], weights: tuple[float, ...]) -> Tensor:
    return sum(
        (weight * slope for weight, slope in zip(weights, slopes, strict=True)), torch.zeros_like(slopes[0])
    )


def _first_step(velocity: Velocity, x: Tensor, slope: Tensor, rtol: float, atol: float) -> float:
    """Hairer's starting step: such that an explicit Euler step would change slopes by a hundredth of the tolerance."""
    scale = atol + rtol * x.abs()  # (B, ...)
    size, speed = _norm(x / scale), _norm(slope / scale)
    trial = 1e-6 if min(size, speed) < 1e-5 else 0.01 * size / speed
    bend = _norm((velocity(x.new_tensor(trial), x + trial * slope) - slope) / scale) / trial
    steepest = max(speed, bend)
    second = max(1e-6, trial * 1e-3) if steepest <= 1e-15 else (0.01 / steepest) ** (1 / 5)
    return min(100 * trial, second)


def _factor(ratio: float) -> float:
    """By how much the next step grows or shrinks; a step that was accepted does not shrink."""
    if ratio == 0:
        return _GROW
    return min(_GROW, max(_SAFETY * ratio**-0.2, 1.0 if ratio < 1 else _SHRINK))


def _norm(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


SAMPLER = Sampler(None, "flow", solve=integrate)
