"""The weights that a second stage ends with: the best of their running averages, by a validation now and then."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from motionrft.training.ema import Ema


class BestAverage:
    """The running average of a network's weights, and a copy of it at its best validation.

    loss, step: of that validation; infinite and 0 before there was one.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network, self.ema = network, Ema(network, decay)
        self.best: dict[str, Any] = {"loss": float("inf"), "step": 0, "weights": None}

    @property
    def loss(self) -> float:
        return float(self.best["loss"])

    @property
    def step(self) -> int:
        return int(self.best["step"])

    def update(self) -> None:
        """Take the weights of now into the average."""
        self.ema.update()

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Inside, the network carries the average and is in evaluation mode; afterwards it trains on."""
        self.network.eval()
        with self.ema.applied():
            yield
        self.network.train()

    def seen(self, loss: float, step: int) -> None:
        """Keep the average of now where its loss is the lowest so far."""
        if loss < self.loss:
            weights = {name: tensor.clone() for name, tensor in self.ema.average.items()}
            self.best = {"loss": loss, "step": step, "weights": weights}

    @torch.no_grad()
    def use(self) -> None:
        """Give the network the best average, or the newest where nothing was validated."""
        weights = self.best["weights"] or self.ema.average
        for name, parameter in self.network.named_parameters():
            parameter.copy_(weights[name])

    def state_dict(self) -> dict[str, Any]:
        return {"ema": self.ema.state_dict(), "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.ema.load_state_dict(state["ema"])
        self.best = state["best"]
