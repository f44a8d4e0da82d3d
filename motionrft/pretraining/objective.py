"""What the second stage minimises, and the usual answer: regression on whatever the network predicts."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.parametrisation import training_target
from motionrft.diffusion.schedule import broadcast
from motionrft.generators.base import Condition, Generator
from motionrft.moving import moved
from motionrft.training.distribution import ALONE, Distribution


class Objective(ABC):
    """A loss of a batch of clean states. Concrete ones are final."""

    @abstractmethod
    def loss(
        self,
        x0: Tensor,
        lengths: Tensor,
        condition: Condition,
        draws: torch.Generator,
        company: Distribution = ALONE,
    ) -> Tensor:
        """Scalar to minimise.

        Args:
            x0: (B, ...) clean states as the denoiser sees them. lengths: (B,) frames. The same in every process.
            draws: for times and noise; on the CPU, so that every device draws the same.
            company: runs the denoiser on each process's rows; the loss is that of all rows.
        """

    @abstractmethod
    def validation_loss(
        self, x0: Tensor, lengths: Tensor, condition: Condition, draws: torch.Generator
    ) -> Tensor:
        """Scalar that says how good the generator is; the weights with the smallest one are kept."""

    def stepped(self) -> None:  # noqa: B027
        """Called after each optimiser update, for weights that follow the trained ones. Nothing by default."""

    def state_dict(self) -> dict[str, Any]:
        """What `stepped` changed."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Go back to a state."""


class Regression(Objective):
    """Masked mean squared error of the network's own target: noise, clean state, v or velocity.

    Times, signal and noise are those of the generator's schedule, the target that of its parametrisation, so this is
    the training of every family: Ho et al. 2020 (eps), Tevet et al. 2023 (x0), Lipman et al. 2023 (velocity).

    Args:
        cap: the loss of a time is weighed by clamp(noise / signal, 1, cap); 1 weighs all times equally.
        dtype: of the network's arithmetic (autocast).
    """

    def __init__(self, generator: Generator, cap: float, dtype: torch.dtype = torch.float32):
        self.generator, self.cap, self.dtype = generator, cap, dtype

    def loss(
        self,
        x0: Tensor,
        lengths: Tensor,
        condition: Condition,
        draws: torch.Generator,
        company: Distribution = ALONE,
    ) -> Tensor:
        return self._error(x0, lengths, condition, draws, self.cap, company)

    def validation_loss(
        self, x0: Tensor, lengths: Tensor, condition: Condition, draws: torch.Generator
    ) -> Tensor:
        return self._error(x0, lengths, condition, draws, 1.0, ALONE)

    def _error(
        self,
        x0: Tensor,
        lengths: Tensor,
        condition: Condition,
        draws: torch.Generator,
        cap: float,
        company: Distribution,
    ) -> Tensor:
        g = self.generator
        x0, condition = g.augmented(x0, lengths, condition, draws)
        rows = company.rows(len(x0))
        own_condition = rows_of(condition, rows, x0)
        t = moved(g.schedule.draw_times(len(x0), draws), x0.device)  # (B,)
        noise = moved(torch.randn(x0.shape, generator=draws), x0.device)  # (B, ...)
        alpha, sigma = (broadcast(level, x0) for level in g.schedule.levels(t))  # (B, 1, ...) each
        state = g.schedule.add_noise(x0, noise, t)  # (B, ...)
        with torch.autocast(x0.device.type, self.dtype, enabled=self.dtype != torch.float32):
            own = g.predict(state[rows], t[rows], own_condition, lengths[rows], guidance=1.0)  # (b, ...)
        prediction = company.joined(own.float(), company.sizes(len(x0)))  # (B, ...)
        error = (prediction - training_target(g.parametrisation, x0, noise, alpha, sigma)) ** 2
        error = error * (sigma / alpha).square().clamp(1.0, cap)  # (B, ...)
        return masked_mean(error, g.state_mask(state, lengths))


def rows_of(condition: Condition, rows: slice, x0: Tensor) -> Condition:
    """Those rows of the condition of a batch x0 (B, ...)."""
    if rows == slice(0, len(x0)):
        return condition
    return condition.index(torch.arange(rows.start, rows.stop, device=x0.device))


def masked_mean(error: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the numbers that count; mask as `Generator.state_mask` gives it."""
    return error.mean() if mask is None else (error * mask).sum() / mask.expand_as(error).sum()
