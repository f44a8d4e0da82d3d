"""Fixed-step solvers of straight-path flows: Euler and Heun from noise (t = 0) to data (t = 1)."""

import torch
from torch import Tensor

from motionrft.diffusion.table import TableProcess
from motionrft.errors import UserError

TRAIN_TIMES = 1000


def flow_process(steps: int, sampler: str, family: str) -> TableProcess:
    """The fixed-step solver of that name: `steps` counts network evaluations for `euler`, half of them for `heun`.

    Raises:
        UserError: no solver has that name. `dopri5` is adaptive and has no positions: it samples, but cannot be tuned.
    """
    if sampler == "euler":
        return euler(steps)
    if sampler == "heun":
        return heun(steps)
    hint = " (dopri5 takes steps of its own choice, so only `sample` knows it)" if sampler == "dopri5" else ""
    raise UserError(
        f"no fixed-step sampler {sampler!r} for the family {family}; there are euler and heun{hint}"
    )


def euler(steps: int) -> TableProcess:
    """x + (t' - t) v on a uniform grid: as many network evaluations as steps."""
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    ones = torch.ones(steps, dtype=torch.float64)
    return _flow_table(grid[:-1], grid, mean_prediction=grid.diff(), mean_memory=0 * ones, memory=False)


def heun(steps: int) -> TableProcess:
    """Heun's second-order method as 2 x `steps` positions: an Euler step, then its correction by the average
    slope.

    The correction turns x + h v into x + h (v + v') / 2, where v is the step's first velocity, carried as
    memory. Its own position is told the end of the interval as time.
    """
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    h = grid.diff()
    times = torch.stack([grid[:-1], grid[1:]], dim=1).flatten()
    states = torch.cat([times, grid[-1:]])
    return _flow_table(
        times,
        states,
        mean_prediction=torch.stack([h, h / 2], dim=1).flatten(),
        mean_memory=torch.stack([0 * h, -h / 2], dim=1).flatten(),
        memory=True,
    )


def flow_level(t: Tensor) -> Tensor:
    """A flow time as the training timestep of equal rank, int64 in [0, 1000): 999 is pure noise."""
    return ((1 - t) * TRAIN_TIMES).round().long().clamp(max=TRAIN_TIMES - 1)


def _flow_table(
    times: Tensor, states: Tensor, mean_prediction: Tensor, mean_memory: Tensor, memory: bool
) -> TableProcess:
    ones = torch.ones(times.shape[0])
    return TableProcess(
        timesteps=times.float(),
        noise_levels=flow_level(states),
        clean_x=ones,
        clean_prediction=(1 - times).float(),
        mean_x=ones,
        mean_prediction=mean_prediction.float(),
        mean_memory=mean_memory.float(),
        std=torch.zeros(times.shape[0]),
        stochastic=(False,) * times.shape[0],
        memory="prediction" if memory else None,
    )
