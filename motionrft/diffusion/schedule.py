"""Noise schedules: how much signal and noise a state holds at each training time, and which times a sampler
visits.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from motionrft.errors import UserError

MOST_TIMES = 100_000
"""Training times of the longest schedule."""
Spacing = Literal["leading", "linspace", "trailing"]


class Schedule:
    """A discrete schedule: x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise, t in [0, T_train).

    alpha_bar: (T_train,) float64, the cumulative product of 1 - beta.
    """

    def __init__(self, alpha_bar: Tensor):
        self.alpha_bar = alpha_bar.double()  # (T_train,)
        self._levels: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @property
    def times(self) -> int:
        """T_train."""
        return self.alpha_bar.shape[0]

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at the times `t`, float32, like `t`; the tables are kept once a device."""
        if t.device not in self._levels:
            alpha, sigma = self.alpha_bar.sqrt(), (1 - self.alpha_bar).sqrt()  # (T_train,) each
            self._levels[t.device] = (alpha.float().to(t.device), sigma.float().to(t.device))
        alpha, sigma = self._levels[t.device]  # (T_train,) each
        return alpha[t], sigma[t]

    def draw_times(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """(batch,) uniform training times, int64, on the generator's device."""
        device = None if generator is None else generator.device
        return torch.randint(self.times, (batch,), generator=generator, device=device)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The state at times `t` () or (B,); x0 and noise are (B, ...)."""
        alpha, sigma = (broadcast(level, x0) for level in self.levels(t))  # (B, 1, ...) each, or ()
        return alpha * x0 + sigma * noise  # (B, ...)


class StraightPath:
    """The schedule of flow models: x_t = (1 - t) noise + t x0 with t in [0, 1], 1 = data."""

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at the flow times `t`."""
        return t, 1 - t

    def draw_times(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """(batch,) uniform flow times, float32, on the generator's device."""
        device = None if generator is None else generator.device
        return torch.rand(batch, generator=generator, device=device)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The state at flow times `t` () or (B,); x0 and noise are (B, ...)."""
        alpha, sigma = (broadcast(level, x0) for level in self.levels(t))  # (B, 1, ...) each, or ()
        return alpha * x0 + sigma * noise  # (B, ...)


def broadcast(level: Tensor, like: Tensor) -> Tensor:
    """A level () or (B,) shaped to multiply `like` (B, ...)."""
    return level if level.dim() == 0 else level.reshape(-1, *(1,) * (like.dim() - 1))


# Tables are numbers and no weights: where a network is built without storage (the meta device), they are still there.


def _checked(times: int) -> int:
    """A number of training times that a table is made for; it may come from somebody else's options file."""
    if not 1 <= times <= MOST_TIMES:
        raise UserError(f"{times} training times; a schedule has between 1 and {MOST_TIMES:,}")
    return times


def scaled_linear(times: int = 1000, start: float = 0.00085, end: float = 0.012) -> Schedule:
    """Squares of a linear ramp between the roots of the ends (latent diffusion; MLD and its relatives).

    Computed in float32, as published: the cumulative product then differs from float64's in the sixth digit.
    """
    ramp = torch.linspace(start**0.5, end**0.5, _checked(times), dtype=torch.float32, device="cpu")
    betas = ramp**2  # (times,)
    return Schedule(torch.cumprod(1 - betas, 0))


def linear(times: int = 1000, start: float = 1e-4, end: float = 0.02) -> Schedule:
    """Ho et al. 2020: MotionDiffuse and StableMoFusion."""
    betas = torch.linspace(start, end, _checked(times), dtype=torch.float64, device="cpu")  # (times,)
    return Schedule(torch.cumprod(1 - betas, 0))


def cosine(times: int) -> Schedule:
    """Nichol and Dhariwal 2021, Eq. 17, betas at most 0.999. Each number of times is a schedule of its own
    (MDM).
    """

    def signal(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - signal((i + 1) / times) / signal(i / times), 0.999) for i in range(_checked(times))]
    return Schedule(torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64, device="cpu"), 0))


def visited_times(times: int, steps: int, spacing: Spacing = "leading", offset: int = 0) -> Tensor:
    """(steps,) int64 training times from noisy to clean.

    leading: floor(times / steps) apart from `offset` up. linspace: both ends included. trailing: from times -
    1 down.

    Raises:
        UserError: steps is not in 1..times.
    """
    if not 1 <= steps <= times:
        raise UserError(f"{steps} denoising steps: this schedule has between 1 and {times}")
    if spacing == "leading":
        visited = (torch.arange(steps) * (times // steps) + offset).flip(0)  # (steps,)
        if visited[0] >= times:
            raise UserError(
                f"{steps} leading steps with offset {offset} leave the {times} times of this schedule"
            )
        return visited
    if spacing == "linspace":
        return torch.linspace(0, times - 1, steps, dtype=torch.float64).round().long().flip(0)
    return (times - torch.arange(steps, dtype=torch.float64) * times / steps).round().long() - 1
