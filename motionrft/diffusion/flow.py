"""Fixed-step solvers of straight-path flows from noise (t = 0) to data (t = 1): Euler, plain or with noise, and Heun."""

from typing import Literal

import torch
from torch import Tensor

from motionrft.diffusion.process import Process
from motionrft.diffusion.sampler import Chain, Sampler, build_process, samplers_for
from motionrft.diffusion.schedule import StraightPath
from motionrft.diffusion.table import TableProcess
from motionrft.errors import UserError

TRAIN_TIMES = 1000


def flow_process(
    steps: int, sampler: str, family: str, eta: float | None = None, shift: float = 1.0
) -> Process:
    """The fixed-step solver of that name: `steps` counts network evaluations, half of them for `heun`.

    Raises:
        UserError: no flow has such a solver (`family` is named), it takes no noise, or it is adaptive.
    """
    known = samplers_for("flow")
    if sampler not in known:
        raise UserError(f"no sampler {sampler!r} for the family {family}; there are {', '.join(known)}")
    return build_process(sampler, Chain(StraightPath(), "flow", steps, eta or 0.0, shift))


def flow_grid(steps: int, shift: float = 1.0) -> Tensor:
    """(S + 1,) float64 flow times from 0 to 1, even at shift 1; a greater shift stays longer near the noise.

    In noise levels, sigma = 1 - t: sigma' = shift sigma / (1 + (shift - 1) sigma) (Esser et al. 2024, Eq. 23).
    """
    even = torch.linspace(0, 1, steps + 1, dtype=torch.float64)  # (S + 1,)
    if shift == 1:
        return even
    sigma = 1 - even  # (S + 1,)
    return 1 - shift * sigma / (1 + (shift - 1) * sigma)


def euler(grid: Tensor, eta: float = 0.0, constant: bool = False) -> TableProcess:
    """As many network evaluations as intervals of `grid` (S + 1,) float64, which goes from noise (0) to data (1).

    eta 0 is x + (t' - t) v. Above it, noise is added and the drift corrected so that the states keep the
    distributions of the flow: with h = t' - t and an amount g of noise,

        mean = (1 - g^2 h / (2 (1 - t))) x + (1 + g^2 t / (2 (1 - t))) h v,    std = g sqrt(h),

    where g = eta sqrt((1 - t) / t), at pure noise with the first step's end for the t below (Flow-GRPO, Liu et al.
    2025, where eta is called a, 0.7 is usual, and time runs the other way), or with `constant` g = eta (DanceGRPO,
    Xue et al. 2025, with 0.3).
    """
    t, h = grid[:-1], grid.diff()  # (S,)
    # g^2 / (1 - t), which in the first form stays finite wherever t is.
    strength = eta**2 / ((1 - t) if constant else torch.where(t == 0, grid[1], t))  # (S,)
    return _flow_table(
        t,
        grid,
        mean_x=1 - strength * h / 2,
        mean_prediction=(1 + strength * t / 2) * h,
        mean_memory=0 * h,
        std=(strength * (1 - t) * h).sqrt(),
    )


def heun(grid: Tensor) -> TableProcess:
    """Heun's second-order method, two positions an interval of `grid` (S + 1,): an Euler step, then its correction
    by the average slope.

    The correction turns x + h v into x + h (v + v') / 2, where v is the step's first velocity, carried as
    memory. Its own position is told the end of the interval as time.
    """
    h = grid.diff()  # (S,)
    times = torch.stack([grid[:-1], grid[1:]], dim=1).flatten()  # (2 S,)
    states = torch.cat([times, grid[-1:]])  # (2 S + 1,)
    return _flow_table(
        times,
        states,
        mean_x=torch.ones_like(times),
        mean_prediction=torch.stack([h, h / 2], dim=1).flatten(),
        mean_memory=torch.stack([0 * h, -h / 2], dim=1).flatten(),
        std=torch.zeros_like(times),
        memory="prediction",
    )


def flow_level(t: Tensor) -> Tensor:
    """A flow time as the training timestep of equal rank, int64 in [0, 1000): 999 is pure noise."""
    return ((1 - t) * TRAIN_TIMES).round().long().clamp(max=TRAIN_TIMES - 1)


def _flow_table(
    times: Tensor,
    states: Tensor,
    mean_x: Tensor,
    mean_prediction: Tensor,
    mean_memory: Tensor,
    std: Tensor,
    memory: Literal["prediction"] | None = None,
) -> TableProcess:
    return TableProcess(
        timesteps=times.float(),
        noise_levels=flow_level(states),
        clean_x=torch.ones(times.shape[0]),
        clean_prediction=(1 - times).float(),
        mean_x=mean_x.float(),
        mean_prediction=mean_prediction.float(),
        mean_memory=mean_memory.float(),
        std=std.float(),
        stochastic=tuple((std > 0).tolist()),
        memory=memory,
    )


def _euler(eta: float, constant: bool = False) -> Sampler:
    return Sampler(
        lambda chain: euler(flow_grid(chain.steps, chain.shift), chain.eta, constant),
        "flow",
        steps=50,
        takes_eta=True,
        eta=eta,
    )


EULER = _euler(0.0)
HEUN = Sampler(lambda chain: heun(flow_grid(chain.steps, chain.shift)), "flow", steps=50)
FLOW_SDE = _euler(0.7)
"""Euler with Flow-GRPO's usual noise."""
DANCE_SDE = _euler(0.3, constant=True)
"""With DanceGRPO's, which is constant."""
