"""Where no evaluator fits the data: what can be measured without one, and nothing else."""

from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.data.captions import Caption
from motionrft.evaluation.evaluators.base import Evaluator


class NoEvaluator(Evaluator):
    """Embeds nothing: its embeddings have no numbers, and metrics that need some are left out.

    Args:
        representation, fps: of the motions that are measured, so that nothing is converted for its sake.
    """

    name, identity, min_frames, embeds = "no evaluator", "none", 1, False

    def __init__(self, representation: str, fps: float) -> None:
        super().__init__()
        self.representation, self.fps = representation, fps
        self.register_buffer("place", torch.zeros(0), persistent=False)

    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        return motion.new_zeros(len(motion), 0)

    def embed_text(self, captions: Sequence[Caption]) -> Tensor:
        return torch.zeros(len(captions), 0)
