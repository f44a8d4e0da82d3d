"""An exponential moving average of the weights, to be sampled from instead of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """`average = decay * average + (1 - decay) * weight`, over the trainable parameters of a module.

    The decay climbs with the number of updates, min(decay, (1 + n) / (10 + n)), so that a short run is not an
    average of its beginning.
    """

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.updates = 0
        self._weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.average: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of now into the average; call after each optimiser step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.average.values()), list(self._weights.values()), 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module carries the average."""
        kept = {name: p.detach().clone() for name, p in self._weights.items()}
        self._copy(self.average)
        try:
            yield
        finally:
            self._copy(kept)

    def state_dict(self) -> dict[str, object]:
        return {"updates": self.updates, "average": self.average}

    def load_state_dict(self, state: dict) -> None:
        self.updates = state["updates"]
        for name, tensor in self.average.items():
            tensor.copy_(state["average"][name])

    @torch.no_grad()
    def _copy(self, tensors: dict[str, Tensor]) -> None:
        for name, parameter in self._weights.items():
            parameter.copy_(tensors[name])
