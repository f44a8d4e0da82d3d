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
            x0: (b, ...) clean states as the denoiser sees them, and their condition: this process's rows of a batch.
            lengths: (B,) frames, of all rows.
            draws: for times and noise; on the CPU, so that every device draws the same.
            company: whose rows these are. The loss is weighed so that its mean over the processes is that of all rows.
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
        g, count = self.generator, len(lengths)
        rows = company.rows(count)
        x0, condition = g.augmented(x0, lengths, condition, draws, rows)
        t = moved(g.schedule.draw_times(count, draws)[rows], x0.device)  # (b,)
        noise = moved(torch.randn(count, *x0.shape[1:], generator=draws)[rows], x0.device)  # (b, ...)
        alpha, sigma = (broadcast(level, x0) for level in g.schedule.levels(t))  # (b, 1, ...) each
        state = g.schedule.add_noise(x0, noise, t)  # (b, ...)
        with torch.autocast(x0.device.type, self.dtype, enabled=self.dtype != torch.float32):
            prediction = g.predict(state, t, condition, lengths[rows], guidance=1.0)  # (b, ...)
        error = (prediction.float() - training_target(g.parametrisation, x0, noise, alpha, sigma)) ** 2
        return shared_mean(error * (sigma / alpha).square().clamp(1.0, cap), g, lengths, company)


def shared_mean(error: Tensor, generator: Generator, lengths: Tensor, company: Distribution) -> Tensor:
    """Mean of this process's rows (b, ...) over the numbers that count, weighed as `Objective.loss` says.

    Args:
        lengths: (B,) frames, of all rows.
    """
    own = masked_mean(error, generator.state_mask(error, lengths[company.rows(len(lengths))]))
    if company.processes == 1:
        return own
    mask = generator.state_mask(error[:1].expand(len(lengths), *error.shape[1:]), lengths)  # (B, ...)
    counts = torch.ones_like(lengths) if mask is None else mask.flatten(1).sum(1)  # (B,)
    return own * company.share(counts)


def masked_mean(error: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the numbers that count; mask as `Generator.state_mask` gives it."""
    return error.mean() if mask is None else (error * mask).sum() / mask.expand_as(error).sum()
