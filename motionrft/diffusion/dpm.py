"""DPM-Solver++ (Lu et al. 2022), order 1 or 2 by midpoint, deterministic or stochastic, on Karras sigmas or without."""

import torch
from torch import Tensor

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.sampler import Chain, Sampler
from motionrft.diffusion.schedule import Schedule, visited_times
from motionrft.diffusion.table import TableProcess, tabulate
from motionrft.errors import UserError

RHO = 7.0


def dpm(
    schedule: Schedule,
    kind: Parametrisation,
    steps: int,
    order: int = 2,
    stochastic: bool = True,
    karras: bool = True,
) -> TableProcess:
    """Table of the 2M solver; with the log-SNR step h and the decay d = exp(-h):

        sde: x' = s'/s d x + a' (1 - d^2) (x0 + (x0 - x0_previous) h / (2 h_previous)) + s' sqrt(1 - d^2)
        noise
        ode: x' = s'/s x + a' (1 - d) (x0 + (x0 - x0_previous) h / (2 h_previous))

    The first step and the last have order 1; the last lands on x0 exactly.

    Args:
        karras: noise levels after Karras et al. 2022, Eq. 5; otherwise those of evenly spaced training times.

    Raises:
        UserError: more steps than training times, or fewer than two with Karras levels.
    """
    ratio = karras_ratios(schedule, steps) if karras else evenly_timed_ratios(schedule, steps)  # (S,)
    return dpm_table(ratio, nearest_times(schedule, ratio), kind, order, stochastic)


def dpm_table(
    ratio: Tensor, times: Tensor, kind: Parametrisation, order: int = 2, stochastic: bool = True
) -> TableProcess:
    """`dpm` through given levels: `ratio` (S,) float64 sigma / alpha, falling; `times` (S,) what the network is told."""
    alpha = 1 / (1 + ratio**2).sqrt()  # (S,)
    sigma = alpha * ratio  # (S,)
    h = (ratio[:-1] / ratio[1:]).log()  # (S - 1,) steps in log-SNR
    decay = torch.exp(-h)  # (S - 1,)
    gain = alpha[1:] * (1 - (decay**2 if stochastic else decay))  # (S - 1,)
    second = torch.zeros_like(h)  # (S - 1,)
    if order == 2:
        second[1:] = 0.5 * h[1:] / h[:-1]
    zero, one = torch.zeros(1, dtype=h.dtype), torch.ones(1, dtype=h.dtype)
    return tabulate(
        kind,
        timesteps=times,
        levels=torch.cat([times, torch.zeros(1, dtype=torch.int64)]),
        alpha=alpha,
        sigma=sigma,
        mean_x=torch.cat([sigma[1:] / sigma[:-1] * (decay if stochastic else 1), zero]),
        mean_x0=torch.cat([gain * (1 + second), one]),
        mean_memory=torch.cat([-gain * second, zero]) if order == 2 else None,
        std=torch.cat([sigma[1:] * (1 - decay**2).sqrt(), zero]) if stochastic else None,
    )


def karras_ratios(schedule: Schedule, steps: int) -> Tensor:
    """(S,) sigma / alpha from the noisiest training time to the cleanest, evenly spaced in its 1/7-th power.

    Raises:
        UserError: fewer than two steps.
    """
    if steps < 2:
        raise UserError(f"{steps} steps: DPM-Solver++ needs at least 2")
    ratios = ((1 - schedule.alpha_bar) / schedule.alpha_bar).sqrt()  # (T_train,)
    ends = ratios[-1] ** (1 / RHO), ratios[0] ** (1 / RHO)
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)  # (S,)
    return (ends[0] + ramp * (ends[1] - ends[0])) ** RHO


def evenly_timed_ratios(schedule: Schedule, steps: int) -> Tensor:
    """(S,) sigma / alpha at evenly spaced training times from the noisiest on; the one after the last would be 0.

    Raises:
        UserError: as many steps as there are training times, or more.
    """
    times = visited_times(schedule.times, steps + 1, "linspace")[:-1]  # (S,)
    return ((1 - schedule.alpha_bar[times]) / schedule.alpha_bar[times]).sqrt()


def nearest_times(schedule: Schedule, ratio: Tensor) -> Tensor:
    """(S,) int64: the training time whose log(sigma / alpha), between neighbours, is nearest to each ratio's."""
    table = (((1 - schedule.alpha_bar) / schedule.alpha_bar).sqrt()).log()  # (T_train,)
    target = ratio.log()  # (S,)
    high = torch.searchsorted(table, target).clamp(1, table.shape[0] - 1)  # (S,)
    low = high - 1
    weight = ((target - table[low]) / (table[high] - table[low])).clamp(0, 1)  # (S,)
    return (low + weight).round().long()


def _sampler(stochastic: bool, karras: bool) -> Sampler:
    def build(chain: Chain) -> TableProcess:
        return dpm(chain.discrete, chain.kind, chain.steps, stochastic=stochastic, karras=karras)

    return Sampler(build, "diffusion", steps=10)


SDE, ODE, SDE_LINSPACE, ODE_LINSPACE = (
    _sampler(stochastic, karras) for karras in (True, False) for stochastic in (True, False)
)
"""Stochastic or not; `linspace` takes the noise levels of evenly spaced training times, not Karras's."""
