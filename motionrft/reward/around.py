"""A reward behind something that changes what it is shown: all else is the reward's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from motionrft.reward.base import Reward


class Around(Reward):
    """What a reward `inner` says of itself. Who stands around it says how motions reach it (`prepare`, `forward`)."""

    def __init__(self, inner: Reward) -> None:
        super().__init__()
        self.inner = inner
        self.representation = inner.representation
        self.differentiable = inner.differentiable
        self.ranges: Mapping[str, tuple[float, float]] = inner.ranges

    @property
    def width(self) -> int:
        return self.inner.width

    @property
    def kinematic_width(self) -> int | None:
        return self.inner.kinematic_width

    @property
    def weights(self) -> dict[str, float]:
        return self.inner.term_weights

    @weights.setter
    def weights(self, weights: dict[str, float]) -> None:
        self.inner.weights = weights  # type: ignore[assignment]

    @property
    def term_weights(self) -> dict[str, float]:
        return self.inner.term_weights

    @property
    def learnt_noise(self) -> bool:
        return self.inner.learnt_noise

    def remember(self, texts: Sequence[str]) -> None:
        self.inner.remember(texts)

    def settle(self) -> None:
        self.inner.settle()

    def __getattr__(self, name: str) -> Any:
        """What the reward itself knows (`about`, `known`), for who asks."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)
