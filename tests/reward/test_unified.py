"""Rewards side by side in one condition: each reads its own columns, whoever has no text or no reference."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from motionrft.reward.base import Reward, RewardCondition
from motionrft.reward.unified import Part, UnifiedReward


class Told(Reward):
    """Its own text columns' sum; `text` says whether it has any."""

    representation = "kinematic"

    def __init__(
        self, name: str, value: float | None, reference: float | None = None, contrast: float | None = None
    ) -> None:
        super().__init__()
        self.name, self.values = name, (value, reference, contrast)

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        text, reference, contrast = (
            None if value is None else torch.full((len(texts), 2), value) for value in self.values
        )
        return RewardCondition(text, reference, contrast=contrast)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        zero = motion.new_zeros(len(motion))
        text = zero if condition.text is None else condition.text.sum(-1)
        reference = zero if condition.reference is None else condition.reference.sum(-1)
        contrast = zero if condition.contrast is None else condition.contrast.sum(-1)
        return text, {self.name: text, f"{self.name}/reference": reference, f"{self.name}/contrast": contrast}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_part_without_a_text_takes_no_columns_of_another(order: tuple[int, int]) -> None:
    parts = [Told("compares", None, 5.0), Told("reads", 3.0, contrast=1.0)]
    reward = UnifiedReward([Part(parts[place], 2) for place in order])
    _, terms = reward(torch.zeros(4, 6, 263), torch.full((4,), 6), reward.prepare(["a"] * 4))
    assert terms["reads"].tolist() == [6.0] * 4 and terms["compares"].tolist() == [0.0] * 4
    assert terms["compares/reference"].tolist() == [10.0] * 4
    assert terms["reads/reference"].tolist() == [0.0] * 4
    assert terms["reads/contrast"].tolist() == [2.0] * 4 and terms["compares/contrast"].tolist() == [0.0] * 4
