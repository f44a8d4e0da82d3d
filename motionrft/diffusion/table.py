"""A sampler as a table: every step in use is linear in the state, the prediction and what the last step left
behind.

    x0        = clean_x x + clean_prediction prediction
    mean      = mean_x x + mean_prediction prediction + mean_memory memory
    sample    = mean + std noise

The coefficients are composed in float64 and kept in float32, so no step divides by a small number at run
time, and a
step reads tensors only: trajectories can be compiled or captured in a CUDA graph.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

from motionrft.diffusion.parametrisation import Parametrisation, clean_coefficients
from motionrft.diffusion.process import Process, Step


@dataclass(frozen=True)
class TableProcess(Process):
    """The process of a table; every coefficient is (S,) float32. `memory` says what a step leaves for the
    next.
    """

    timesteps: Tensor  # (S,)
    noise_levels: Tensor  # (S + 1,) int64
    clean_x: Tensor  # (S,)
    clean_prediction: Tensor  # (S,)
    mean_x: Tensor  # (S,)
    mean_prediction: Tensor  # (S,)
    mean_memory: Tensor  # (S,)
    std: Tensor  # (S,)
    stochastic: tuple[bool, ...]
    memory: Literal["x0", "prediction"] | None = None

    @property
    def levels(self) -> Tensor:
        return self.noise_levels

    @property
    def gains(self) -> Tensor:
        return self.mean_prediction  # (S,)

    def to(self, device: torch.device | str) -> "TableProcess":
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value.to(device) if isinstance(value, Tensor) else value
        return replace(self, **moved)

    def clean(self, prediction: Tensor, x: Tensor, i: int) -> Tensor:
        return self.clean_x[i] * x + self.clean_prediction[i] * prediction  # (B, ...)

    def step(
        self, prediction: Tensor, x: Tensor, i: int, noise: Tensor | None = None, memory: Tensor | None = None
    ) -> Step:
        if self.stochastic[i] and noise is None:
            raise ValueError(f"step {i} of this sampler is stochastic: it needs noise shaped like the state")
        x0 = self.clean(prediction, x, i)  # (B, ...)
        mean = self.mean_x[i] * x + self.mean_prediction[i] * prediction  # (B, ...)
        if memory is not None and self.memory is not None:
            mean = mean + self.mean_memory[i] * memory  # (B, ...)
        sample = mean + self.std[i] * noise if noise is not None and self.stochastic[i] else mean
        left = {"x0": x0, "prediction": prediction, None: None}[self.memory]
        return Step(x0, mean, self.std[i], sample, left)


def tabulate(
    kind: Parametrisation,
    timesteps: Tensor,
    levels: Tensor,
    alpha: Tensor,
    sigma: Tensor,
    mean_x: Tensor,
    mean_x0: Tensor,
    std: Tensor | None = None,
    mean_memory: Tensor | None = None,
) -> TableProcess:
    """Table of a sampler stated as mean = mean_x x + mean_x0 x0 (+ mean_memory previous x0), for any
    parametrisation.

    Args:
        timesteps: (S,) what the network is told; levels: (S + 1,) training timesteps of the states.
        alpha, sigma: (S,) float64, signal and noise of the state entering each position.
        mean_x, mean_x0, std, mean_memory: (S,) float64.
    """
    clean_x, clean_prediction = clean_coefficients(kind, alpha, sigma)  # (S,) each
    std = torch.zeros_like(alpha) if std is None else std  # (S,)
    return TableProcess(
        timesteps=timesteps,
        noise_levels=levels.long(),
        clean_x=clean_x.float(),
        clean_prediction=clean_prediction.float(),
        mean_x=(mean_x + mean_x0 * clean_x).float(),
        mean_prediction=(mean_x0 * clean_prediction).float(),
        mean_memory=torch.zeros_like(alpha).float() if mean_memory is None else mean_memory.float(),
        std=std.float(),
        stochastic=tuple((std > 0).tolist()),
        memory=None if mean_memory is None else "x0",
    )
