"""One denoising step: clean prediction, mean, standard deviation, sample, log-probability."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """One step from position i to i + 1.

    x0: clean prediction made at this step.
    mean: mean of the next state; std: its standard deviation, () tensor, 0 for a deterministic step.
    sample: the next state.
    memory: what a multistep solver carries to the next step (the previous x0), or None.
    """

    x0: Tensor
    mean: Tensor
    std: Tensor
    sample: Tensor
    memory: Tensor | None = None


class Process(ABC):
    """Positions of a sampling sequence, 0 = noisiest, as precomputed tables: a step is a gather and multiply-adds."""

    timesteps: Tensor
    """(S,) what the network is told at each position: int64 training timesteps, or float flow times."""

    @property
    def steps(self) -> int:
        return self.timesteps.shape[0]

    @property
    @abstractmethod
    def levels(self) -> Tensor:
        """(S + 1,) noise level, as a training timestep, of the state entering each position and of the final state."""

    @abstractmethod
    def to(self, device) -> "Process":
        """The same tables on another device."""

    @abstractmethod
    def clean(self, prediction: Tensor, x: Tensor, i: int) -> Tensor:
        """Clean prediction x0 from the network's output at position i."""

    @abstractmethod
    def step(
        self, prediction: Tensor, x: Tensor, i: int, noise: Tensor | None = None, memory: Tensor | None = None
    ) -> Step:
        """One step; `noise` (like x) is needed where the step is stochastic."""
