"""DDIM: any subset of the training times, deterministic or stochastic (Song et al. 2021)."""

import torch
from torch import Tensor

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.sampler import Sampler
from motionrft.diffusion.schedule import Schedule, Spacing, visited_times
from motionrft.diffusion.table import TableProcess, tabulate


def ddim(
    schedule: Schedule,
    kind: Parametrisation,
    steps: int,
    eta: float = 0.0,
    spacing: Spacing = "leading",
    offset: int = 1,
    land_on_clean: bool = False,
) -> TableProcess:
    """Table of DDIM (Eq. 12; sigma from Eq. 16).

    Args:
        eta: 0 is deterministic, 1 has the variance of the ancestral sampler.
        offset: added to the times of `leading` spacing.
        land_on_clean: the last step ends at alpha_bar = 1 instead of alpha_bar[0], the published choice of
            MLD, whose last step therefore does not land on x0.
    """
    times = visited_times(schedule.times, steps, spacing, offset)  # (S,)
    a, a_next = _signal(schedule, times, land_on_clean)
    variance = (1 - a_next) / (1 - a) * (1 - a / a_next)  # (S,)
    std = eta * variance.clamp(min=0).sqrt()  # (S,)
    # mean = sqrt(a_next) x0 + direction * noise, and the noise is (x - sqrt(a) x0) / sqrt(1 - a).
    direction = (1 - a_next - std**2).clamp(min=0).sqrt() / (1 - a).sqrt()  # (S,)
    return tabulate(
        kind,
        timesteps=times,
        levels=torch.cat([times, torch.zeros(1, dtype=torch.int64)]),
        alpha=a.sqrt(),
        sigma=(1 - a).sqrt(),
        mean_x=direction,
        mean_x0=a_next.sqrt() - direction * a.sqrt(),
        std=std,
    )


def _signal(schedule: Schedule, times: Tensor, land_on_clean: bool) -> tuple[Tensor, Tensor]:
    """alpha_bar at each visited time and at the one after it, (S,) each."""
    a = schedule.alpha_bar[times]  # (S,)
    last = torch.ones(1, dtype=a.dtype) if land_on_clean else schedule.alpha_bar[:1]  # (1,)
    return a, torch.cat([a[1:], last])


SAMPLER = Sampler(
    lambda chain: ddim(chain.discrete, chain.kind, chain.steps, chain.eta, **chain.options),
    "diffusion",
    steps=50,
    takes_eta=True,
)
