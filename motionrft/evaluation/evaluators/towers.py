"""A two-tower reward as evaluator: MotionReward, SPM on rotations (HY-Motion's judge), TMR.

Only sensible for a generator that was not tuned against the same reward.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from motionrft.data.captions import Caption
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.reward.base import RewardCondition


class TwoTowers(Protocol):
    """What such a reward offers: embeddings of texts and of de-normalised motions in its representation."""

    representation: str

    def prepare(self, texts: Sequence[str]) -> RewardCondition: ...

    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor: ...


class TowerEvaluator(Evaluator):
    """The towers behind the evaluator's interface; embeddings have unit length before every metric.

    Args:
        towers: a reward that offers `TwoTowers`, with a weight on its semantic term.
    """

    min_frames = 4
    comparable = False

    def __init__(
        self, towers: TwoTowers, identity: str, name: str, fps: float = 20.0, width: int | None = None
    ):
        super().__init__()
        if isinstance(towers, nn.Module):
            self.add_module("module", towers)
        self._towers = (towers,)
        self.identity, self.name, self.fps = identity, name, fps
        self.representation = towers.representation
        self.width = width

    @torch.no_grad()
    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        return nn.functional.normalize(self._towers[0].embed_motion(motion, lengths), dim=1)  # (B, E)

    @torch.no_grad()
    def embed_text(self, captions: Sequence[Caption]) -> Tensor:
        embedded = self._towers[0].prepare([caption.text for caption in captions]).text  # (B, E)
        assert embedded is not None
        return nn.functional.normalize(embedded, dim=1)  # (B, E)
