"""The last state known to be good: weights and moments in host memory, copied while the device works on."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class LastGood:
    """Weights and optimiser state to fall back on. The host memory is taken once and written over after that.

    A copy from CUDA goes to pinned memory behind the work already queued, so nobody waits for it: whatever changes the
    weights afterwards is queued behind it.
    """

    def __init__(self, named: Mapping[str, nn.Parameter], adam: torch.optim.Optimizer) -> None:
        self._named, self._adam = named, adam
        self._weights: dict[str, Tensor] = {}
        self._moments: dict[Any, dict[str, Tensor]] = {}

    @property
    def kept(self) -> bool:
        """Whether there is something to restore."""
        return bool(self._weights)

    @torch.no_grad()
    def keep(self) -> None:
        """Take the state of now."""
        for name, parameter in self._named.items():
            self._weights[name] = _copied(parameter.detach(), self._weights.get(name))
        for number, state in self._adam.state_dict()["state"].items():
            held = self._moments.setdefault(number, {})
            for name, value in state.items():
                held[name] = _copied(value.detach(), held.get(name))

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to the state that was kept."""
        if any(parameter.is_cuda for parameter in self._named.values()):
            torch.cuda.synchronize()
        for name, parameter in self._named.items():
            parameter.copy_(self._weights[name])
        # Cloned: torch would go on with the kept tensors themselves where devices and types agree.
        moments = {n: {k: v.clone() for k, v in state.items()} for n, state in self._moments.items()}
        self._adam.load_state_dict(
            {"state": moments, "param_groups": self._adam.state_dict()["param_groups"]}
        )

    def forget(self) -> None:
        """Nothing is known to be good: another state was loaded."""
        self._weights, self._moments = {}, {}


def _copied(value: Tensor, into: Tensor | None) -> Tensor:
    """`value` in host memory, in `into` where that is given."""
    if into is None:
        into = torch.empty(
            value.shape, dtype=value.dtype, pin_memory=value.is_cuda and torch.cuda.is_available()
        )
    return into.copy_(value, non_blocking=True)
