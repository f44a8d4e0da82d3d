"""Latent consistency sampling: jump to the clean end, add fresh noise, jump again (Luo et al. 2023)."""

from typing import Literal

import torch
from torch import Tensor

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.sampler import Sampler
from motionrft.diffusion.schedule import Schedule
from motionrft.diffusion.table import TableProcess, tabulate
from motionrft.errors import UserError

Times = Literal["fixed", "spread", "skipped"]
FIXED_TIMES = {1: (799,), 2: (699, 299), 4: (699, 399, 299, 299)}
ORIGIN_STEPS = 50
SIGMA_DATA = 0.5
TIME_SCALE = 10.0


def lcm(schedule: Schedule, kind: Parametrisation, steps: int, times: Times) -> TableProcess:
    """Table of the consistency sampler with MotionLCM's boundary condition.

    Args:
        times: `fixed`, MotionLCM v2's table of 1, 2 or 4 times (299 is visited twice on purpose); `spread`,
            evenly over the 50 times of distillation; `skipped`, every floor(50 / steps)-th of them. The last
            two are what two versions of the library behind MotionLCM v1 do; they agree for one step.

    Raises:
        UserError: the number of steps is not one that `times` knows.
    """
    visited = lcm_times(schedule.times, steps, times)  # (S,)
    a = schedule.alpha_bar[visited]  # (S,)
    c_skip, c_out = boundary(visited)  # (S,) each
    a_next = torch.cat([a[1:], torch.ones(1, dtype=a.dtype)])  # (S,)
    return tabulate(
        kind,
        timesteps=visited,
        levels=torch.cat([visited, torch.zeros(1, dtype=torch.int64)]),
        alpha=a.sqrt(),
        sigma=(1 - a).sqrt(),
        mean_x=a_next.sqrt() * c_skip,
        mean_x0=a_next.sqrt() * c_out,
        std=(1 - a_next).sqrt(),
    )


def boundary(times: Tensor) -> tuple[Tensor, Tensor]:
    """(c_skip, c_out), float64 like `times`: a jump is c_out x0 + c_skip x, and at time 0 it is x itself."""
    tau = TIME_SCALE * times.double()  # (S,)
    c_skip = SIGMA_DATA**2 / (tau**2 + SIGMA_DATA**2)  # (S,)
    return c_skip, tau / (tau**2 + SIGMA_DATA**2).sqrt()


def lcm_times(train_times: int, steps: int, times: Times) -> Tensor:
    """(steps,) visited training times, int64, noisy to clean."""
    if times == "fixed":
        if steps not in FIXED_TIMES:
            raise UserError(
                f"{steps} steps: MotionLCM v2 was published with {', '.join(map(str, FIXED_TIMES))} steps"
            )
        return torch.tensor(FIXED_TIMES[steps])
    if not 1 <= steps <= ORIGIN_STEPS:
        raise UserError(f"{steps} steps: MotionLCM has between 1 and {ORIGIN_STEPS}")
    origin = (torch.arange(1, ORIGIN_STEPS + 1) * (train_times // ORIGIN_STEPS) - 1).flip(0)
    if times == "skipped":
        return origin[:: ORIGIN_STEPS // steps][:steps]
    return origin[torch.linspace(0, ORIGIN_STEPS, steps + 1, dtype=torch.float64)[:-1].floor().long()]


SAMPLER = Sampler(
    lambda chain: lcm(chain.discrete, chain.kind, chain.steps, **chain.options), "consistency", steps=4
)
