"""Ancestral sampling: the posterior of one forward step, given the clean prediction (Ho et al. 2020)."""

import torch

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.sampler import Sampler
from motionrft.diffusion.schedule import Schedule, visited_times
from motionrft.diffusion.table import TableProcess, tabulate


def ancestral(
    schedule: Schedule, kind: Parametrisation, steps: int | None = None, small_variance: bool = True
) -> TableProcess:
    """Table of the ancestral sampler over all training times, or over a regular subset of them.

    On a subset the betas are those of the shortened chain, 1 - alpha_bar_t / alpha_bar_s for consecutive
    visited s < t (Nichol and Dhariwal 2021). The last step, at t = 0, adds no noise.

    Args:
        small_variance: the posterior's variance; otherwise beta_t.
    """
    steps = schedule.times if steps is None else steps
    times = visited_times(schedule.times, steps, "linspace").flip(0)  # clean to noisy, as chains are defined
    a = schedule.alpha_bar[times]  # (S,)
    a_previous = torch.cat([torch.ones(1, dtype=a.dtype), a[:-1]])  # (S,)
    beta = 1 - a / a_previous  # (S,)
    variance = beta * (1 - a_previous) / (1 - a) if small_variance else beta.clone()
    variance[0] = 0  # the last step adds no noise, so the entry that papers put there is never drawn from
    return tabulate(
        kind,
        timesteps=times.flip(0),
        levels=torch.cat([times.flip(0), torch.zeros(1, dtype=torch.int64)]),
        alpha=a.sqrt().flip(0),
        sigma=(1 - a).sqrt().flip(0),
        mean_x=((1 - a_previous) * (1 - beta).sqrt() / (1 - a)).flip(0),
        mean_x0=(beta * a_previous.sqrt() / (1 - a)).flip(0),
        std=variance.sqrt().flip(0),
    )


SAMPLER = Sampler(
    lambda chain: ancestral(chain.discrete, chain.kind, chain.steps, **chain.options), "diffusion"
)
