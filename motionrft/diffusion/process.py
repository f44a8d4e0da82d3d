"""One denoising step: clean prediction, mean, standard deviation, sample, log-probability."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.lengths import masked_mean


@dataclass(frozen=True)
class Step:
    """One step from position i to i + 1.

    x0: clean prediction made at this step.
    mean: mean of the next state; std: its standard deviation, () tensor, 0 for a deterministic step.
    sample: the next state.
    memory: what a multistep solver carries to the next step (the previous x0 or prediction), or None.
    """

    x0: Tensor  # (B, ...)
    mean: Tensor  # (B, ...)
    std: Tensor
    sample: Tensor  # (B, ...)
    memory: Tensor | None = None


class Process(ABC):
    """Positions of a sampling sequence, 0 = noisiest, as precomputed tables: a gather and multiply-adds a step."""

    timesteps: Tensor
    """(S,) what the network is told at each position: int64 training timesteps, or float flow times."""
    stochastic: tuple[bool, ...]
    """(S,) whether a step adds noise; known on the host, so nobody has to ask the device."""
    std: Tensor
    """(S,) standard deviation of each step."""

    @property
    @abstractmethod
    def gains(self) -> Tensor:
        """(S,) coefficient of the network's prediction in each step's mean."""

    @property
    def spans(self) -> Tensor:
        """(S,) each step's share of the trajectory's time, float32: flow time, or training timesteps."""
        if self.timesteps.is_floating_point():
            return torch.cat([self.timesteps, self.timesteps.new_ones(1)]).diff()
        return -self.levels.diff() / self.levels[0]

    @property
    def steps(self) -> int:
        return self.timesteps.shape[0]

    @property
    @abstractmethod
    def levels(self) -> Tensor:
        """(S + 1,) noise level, as a training timestep, of the state entering each position and of the final
        state.
        """

    @abstractmethod
    def to(self, device: torch.device | str) -> "Process":
        """The same tables on another device."""

    @abstractmethod
    def clean(self, prediction: Tensor, x: Tensor, i: int) -> Tensor:
        """Clean prediction x0 (B, ...) from the network's output at position i."""

    @abstractmethod
    def step(
        self, prediction: Tensor, x: Tensor, i: int, noise: Tensor | None = None, memory: Tensor | None = None
    ) -> Step:
        """One step; `noise` (like x) is needed where the step is stochastic.

        Raises:
            ValueError: the step is stochastic and no noise was given.
        """


def log_prob(step: Step, action: Tensor, mask: Tensor | None = None) -> Tensor:
    """Log-density of the next state under a stochastic step, averaged over its valid numbers (Black et al.
    2024).

    The mean, not the sum: clipping ranges of policy-gradient methods are stated for it.

    Args:
        action: the next state that was taken, like `step.mean` (B, ...); no gradient flows into it.
        mask: broadcastable to `action`, True where a number counts; None counts all.

    Returns:
        (B,) nats per number. Meaningless for a deterministic step (std 0): leave those out.
    """
    deviation = (action.detach() - step.mean) / step.std  # (B, ...)
    density = -0.5 * deviation**2 - step.std.log() - 0.5 * math.log(2 * math.pi)  # (B, ...)
    return masked_mean(density, mask)  # (B,)
