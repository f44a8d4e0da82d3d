"""Physics as a reward: the differentiable costs of `motionrft.physics`, weighed, against a motion.

The MotionRFT article names their absence as its open limitation.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from motionrft.errors import UserError
from motionrft.physics import COSTS, current_names, physics_terms
from motionrft.representations.convert import convert
from motionrft.reward.base import Reward, RewardCondition


class PhysicsReward(Reward):
    """Minus the weighted physics terms: a positive weight always means that the term should get better.

    Args:
        weights: term to weight.
        representation: of the motions that `forward` gets.
        fps: frames per second of those motions.
    """

    def __init__(
        self, weights: Mapping[str, float], representation: str = "kinematic", fps: float = 20.0
    ) -> None:
        super().__init__()
        weights = current_names(weights)
        unknown = [name for name in weights if name not in COSTS]
        if unknown:
            raise UserError(f"physics has no term {unknown[0]!r}; it has {', '.join(COSTS)}")
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.representation, self.fps = representation, fps

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        """Nothing: physics does not read."""
        return RewardCondition()

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        joints = convert(motion, self.representation, "joints", lengths)  # (B, T, J, 3), or 3 J numbers
        joints = joints.unflatten(-1, (-1, 3)) if joints.dim() == 3 else joints  # (B, T, J, 3)
        terms = physics_terms(joints, lengths, self.fps, tuple(self.weights))  # (B,) each
        total = motion.new_zeros(len(motion))  # (B,)
        for name, value in terms.items():
            total = total - self.weights[name] * value  # (B,)
        return total, terms
