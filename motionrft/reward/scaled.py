"""A learnt reward for bodies of another size: joints come to it at the size of the people whom it learnt from.

The Unitree G1's pelvis stands at 0.79 m: to a reward of people it crouches and takes small steps. Its proportions stay
its own, so this helps, and no more; physics is measured at the true size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from motionrft.reward.around import Around
from motionrft.reward.base import Reward, RewardCondition


class Scaled(Around):
    """The reward `inner`, of joints, for joints that are to be multiplied by `factor` first, about the floor's origin."""

    def __init__(self, inner: Reward, factor: float) -> None:
        super().__init__(inner)
        self.factor = factor

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        return self.inner.prepare(texts, None if references is None else references * self.factor, lengths)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        found: tuple[Tensor, dict[str, Tensor]] = self.inner(motion * self.factor, lengths, condition, t)
        return found
