"""Physics as a reward: foot skating, ground penetration, floating, jitter and bone drift, all differentiable.

The terms are costs in their own units, 0 is best, and each exists per frame. The MotionRFT article names their absence
as its open limitation. They differ from the metrics of `motionrft.evaluation`, which count events and have no
gradient. Joints are (B, T, J, 3) in metres, Y up, floor at 0.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import length_mask
from motionrft.representations.convert import convert
from motionrft.representations.kinematic import skeleton_of_joints
from motionrft.reward.base import Reward, RewardCondition
from motionrft.skeleton import Skeleton

CONTACT_HEIGHT = 0.05
"""m: about the height of a toe joint on the floor."""
CONTACT_SOFTNESS = 0.01
"""m: over this height a contact fades, which is what gives skating a gradient."""
_TINY = 1e-12
"""Below the square root of a norm, so that a standing joint has a gradient of zero and not NaN."""


def foot_skating(joints: Tensor, fps: float, skeleton: Skeleton) -> Tensor:
    """Planar speed of each foot times its contact with the floor, m/s; the faster foot of a frame, (B, T)."""
    toes = [skeleton.feet[1], skeleton.feet[3]]
    feet = joints[:, :, toes]
    contact = torch.sigmoid((CONTACT_HEIGHT - feet[..., 1]) / CONTACT_SOFTNESS)
    speed = _norm(feet.diff(dim=1)[..., [0, 2]]) * fps
    return _aligned((speed * contact[:, 1:] * contact[:, :-1]).amax(-1), joints)


def ground_penetration(joints: Tensor, fps: float, skeleton: Skeleton) -> Tensor:
    """Depth of the lowest joint below the floor, m, (B, T)."""
    return (-joints[..., 1].amin(-1)).clamp(min=0)


def floating(joints: Tensor, fps: float, skeleton: Skeleton) -> Tensor:
    """Height of the lowest joint above the contact height, m, (B, T). A jump floats too: judge over a clip."""
    return (joints[..., 1].amin(-1) - CONTACT_HEIGHT).clamp(min=0)


def jitter(joints: Tensor, fps: float, skeleton: Skeleton) -> Tensor:
    """Mean over joints of the third difference of the positions, m/s^3, (B, T)."""
    return _aligned(_norm(joints.diff(n=3, dim=1)).mean(-1) * fps**3, joints)


def bone_drift(joints: Tensor, fps: float, skeleton: Skeleton) -> Tensor:
    """Mean relative change of bone lengths against the first frame, (B, T)."""
    children = list(range(1, skeleton.joints))
    bones = _norm(joints[:, :, children] - joints[:, :, list(skeleton.parents[1:])])
    return (bones / bones[:, :1].clamp(min=1e-6) - 1.0).abs().mean(-1)


PHYSICS: dict[str, Callable[[Tensor, float, Skeleton], Tensor]] = {
    "foot_skating": foot_skating,
    "ground_penetration": ground_penetration,
    "floating": floating,
    "jitter": jitter,
    "bone_drift": bone_drift,
}
"""Every term by name. Units: m/s, m, m, m/s^3, ratio."""

_SHORTENED = {"foot_skating": 1, "jitter": 3}
"""Frames at the start of a clip that have no value, because it takes differences."""


def physics_curves(
    joints: Tensor, lengths: Tensor, fps: float, names: Sequence[str] = tuple(PHYSICS)
) -> dict[str, Tensor]:
    """Each term per frame, (B, T); zero where a frame has no value or lies beyond the length."""
    skeleton = skeleton_of_joints(joints.shape[2])
    valid = length_mask(lengths, joints.shape[1])
    return {name: torch.where(valid, PHYSICS[name](joints, fps, skeleton), 0.0) for name in names}


def physics_terms(
    joints: Tensor, lengths: Tensor, fps: float, names: Sequence[str] = tuple(PHYSICS)
) -> dict[str, Tensor]:
    """Each term's mean over a clip, (B,); 0 for a clip too short to have one."""
    curves = physics_curves(joints, lengths, fps, names)
    return {
        name: curve.sum(1) / (lengths - _SHORTENED.get(name, 0)).clamp(min=1)
        for name, curve in curves.items()
    }


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
        unknown = [name for name in weights if name not in PHYSICS]
        if unknown:
            raise UserError(f"physics has no term {unknown[0]!r}; it has {', '.join(PHYSICS)}")
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
        joints = convert(motion, self.representation, "joints", lengths)
        joints = joints.unflatten(-1, (-1, 3)) if joints.dim() == 3 else joints
        terms = physics_terms(joints, lengths, self.fps, tuple(self.weights))
        total = motion.new_zeros(len(motion))
        for name, value in terms.items():
            total = total - self.weights[name] * value
        return total, terms


def _norm(vectors: Tensor) -> Tensor:
    """Length over the last axis, with a gradient of zero at zero."""
    squared = vectors.square().sum(-1)
    return torch.where(squared > _TINY, squared.clamp(min=_TINY).sqrt(), 0.0)


def _aligned(curve: Tensor, joints: Tensor) -> Tensor:
    """Differences (B, T - n) as (B, T): each at its last frame, zero before."""
    return torch.nn.functional.pad(curve, (joints.shape[1] - curve.shape[1], 0))
