"""Two copies of the trainable weights: one samples a whole trajectory while the other learns from it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


class WeightChain:
    """Keeps the network at the weights its trajectory started with, and the learner's weights beside them.

    The exchange swaps storages, so it copies nothing; the optimiser's state stays.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]):
        self.parameters = list(parameters)
        self.learner = [p.detach().clone() for p in self.parameters]

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Inside, the parameters are the learner's, with the gradients taken at the sampling weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def adopt(self) -> None:
        """End of a trajectory: the next one samples with what was learned."""
        for p, learned in zip(self.parameters, self.learner, strict=True):
            p.copy_(learned)

    def _exchange(self) -> None:
        for n, p in enumerate(self.parameters):
            p.data, self.learner[n] = self.learner[n], p.data
