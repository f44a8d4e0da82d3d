"""Reduced precision: autocast for the network, a loss scale where gradients would underflow (float16)."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

_START, _SMALLEST, _PATIENCE = 2.0**16, 1.0, 2000


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """The context a network's forward pass runs in; weights and optimiser stay float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


class LossScale:
    """A factor on the loss that keeps float16 gradients in range (Micikevicius et al. 2018).

    Halved when a gradient overflows, doubled after 2000 updates without. In other formats it stays 1.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.value = _START if dtype == torch.float16 else 1.0
        self._growing = dtype == torch.float16
        self._good = 0

    def overflowed(self) -> bool:
        """Halve the scale; False if it is at its smallest, so that the overflow has another cause."""
        self._good = 0
        if self.value <= _SMALLEST:
            return False
        self.value = max(self.value / 2, _SMALLEST)
        return True

    def fitted(self) -> None:
        """Count a finite update."""
        self._good += 1
        if self._growing and self._good % _PATIENCE == 0:
            self.value *= 2

    def state_dict(self) -> dict[str, float]:
        return {"value": self.value, "good": self._good}

    def load_state_dict(self, state: dict) -> None:
        self.value, self._good = state["value"], state["good"]
