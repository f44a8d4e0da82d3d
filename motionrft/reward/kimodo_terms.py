"""Costs that only Kimodo's own features show: what its blocks say against each other, and what the robot's hinges allow.

Rewards judge forward kinematics of the rotations, which gives the other blocks (positions, velocities, heading, contacts)
no gradient: without `consistency` they drift from the pose, and whatever trusts them afterwards breaks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from motionrft.errors import UserError
from motionrft.lengths import length_mask
from motionrft.representations.convert import convert
from motionrft.representations.kimodo.features import (
    KimodoFeatures,
    contacts_of,
    forward_kinematics,
    heading_of,
    local_rotations,
    rest_like,
    skeleton_of_features,
    width_of,
)
from motionrft.representations.kimodo.g1 import hinge_angles
from motionrft.representations.kimodo.skeletons import FPS, G1, SMPLX22, numbers
from motionrft.representations.names import KIMODO
from motionrft.reward.around import Around
from motionrft.reward.base import Reward, RewardCondition
from motionrft.reward.unified import Part, UnifiedReward

_NEAR, _SLOW = 0.05, 0.5
"""Metres, and metres a second, below which a difference of blocks costs its square."""
_SECONDS, _TURN, _CONTACT = 0.1, 0.1, 0.01
"""What a metre a second, a heading turned by 60 degrees (twice), and a wrong contact cost, in metres of position."""


@dataclass(frozen=True)
class _Posed:
    """Features (B, T, 12 J + 9) with what their rotations make of them. joints: (B, T, J, 3), without gradient."""

    features: KimodoFeatures
    world: Tensor  # (B, T, J, 3, 3)
    joints: Tensor

    @classmethod
    def of(cls, values: Tensor, rest: Tensor | None) -> "_Posed":
        skeleton, features = skeleton_of_features(values.shape[-1]), KimodoFeatures(values)
        world = features.rotations  # (B, T, J, 3, 3)
        with torch.no_grad():  # the other blocks follow the pose, and do not pull it
            joints = forward_kinematics(world, features.root, skeleton, rest_like(skeleton, rest, values))
        return cls(features, world, joints)


def _consistency(posed: _Posed) -> Tensor:
    """Metres, (B, T): by how much positions, velocities, heading and contacts differ from those of the pose.

    The pose is not pulled: it is what is judged and exported, and the others are to follow.
    """
    features, joints = posed.features, posed.joints
    skeleton = skeleton_of_features(features.values.shape[-1])
    apart = _huber(features.joints_of_positions() - joints, _NEAR)  # (B, T)
    moved = (joints[:, 1:] - joints[:, :-1]) * FPS
    moved = torch.cat((moved, moved[:, -1:]), dim=1)
    slid = _huber(features.velocities - moved, _SLOW)  # (B, T)
    # Not 1 - cos: a heading's length is the network's own, and a longer one would be worth something.
    turned = (features.heading - heading_of(joints, skeleton)).square().sum(
        -1
    ) / 2  # (B, T), 1 - cos at length 1
    wrong = F.smooth_l1_loss(
        features.values[..., -4:], contacts_of(joints, moved, skeleton), reduction="none"
    )
    return apart + _SECONDS * slid + _TURN * turned + _CONTACT * wrong.mean(-1)


def _huber(difference: Tensor, beta: float) -> Tensor:
    """Smooth-L1 of (B, T, J, 3), its mean over joints and axes, (B, T)."""
    return F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none", beta=beta).mean(
        (-1, -2)
    )


def _hinges(posed: _Posed) -> tuple[Tensor, Tensor]:
    return hinge_angles(local_rotations(posed.world, G1.parents))


def _hinge_limits(posed: _Posed) -> Tensor:
    """Radians, (B, T): by how much the angles of the 29 hinges are beyond what they allow, their mean."""
    angles, _ = _hinges(posed)
    least, most = numbers("g1.limits", angles).unbind(-1)
    return ((angles - most).clamp(min=0) + (least - angles).clamp(min=0)).mean(-1)


def _off_hinge(posed: _Posed) -> Tensor:
    """(B, T): 1 - cos of the part of each joint's rotation that its hinge cannot make, which export drops; their mean."""
    return _hinges(posed)[1].mean(-1)


FEATURE_COSTS: dict[str, Callable[[_Posed], Tensor]] = {
    "consistency": _consistency,
    "hinge_limits": _hinge_limits,
    "off_hinge": _off_hinge,
}
"""By name, what `weights.NAME` may weigh of a generator that has them (`Generator.feature_costs`)."""


class FeatureReward(Reward):
    """Minus the weighed costs of Kimodo's features (B, T, 12 J + 9), each its mean over the valid frames.

    Args:
        rest: (J, 3) rest joints of the skeleton; None: its own, which SMPL-X does not have here.
    """

    representation = KIMODO
    rest: Tensor | None

    def __init__(self, weights: Mapping[str, float], rest: Tensor | None = None) -> None:
        super().__init__()
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.register_buffer("rest", rest, persistent=False)

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        """Nothing: these costs do not read."""
        return RewardCondition()

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast(motion.device.type, enabled=False):
            posed = _Posed.of(motion.float(), self.rest)
            valid = length_mask(lengths, motion.shape[1])
            terms = {
                name: torch.where(valid, FEATURE_COSTS[name](posed), 0.0).sum(1) / lengths
                for name in self.weights
            }
        total = motion.new_zeros(len(motion))
        for name, value in terms.items():
            total = total - self.weights[name] * value
        return total, terms


class OfFeatures(Around):
    """The reward `inner`, of joints or rotations, for Kimodo's features; rest: as `FeatureReward`."""

    rest: Tensor | None

    def __init__(self, inner: Reward, rest: Tensor | None = None) -> None:
        super().__init__(inner)
        self.representation = KIMODO
        self.register_buffer("rest", rest, persistent=False)

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        return self.inner.prepare(
            texts, None if references is None else self._seen(references, lengths), lengths
        )

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        found: tuple[Tensor, dict[str, Tensor]] = self.inner(
            self._seen(motion, lengths), lengths, condition, t
        )
        return found

    def _seen(self, motion: Tensor, lengths: Tensor | None) -> Tensor:
        with torch.autocast(motion.device.type, enabled=False):
            own = self.rest is not None and motion.shape[-1] == width_of(
                SMPLX22
            )  # recorded motions are SOMA's
            rest = self.rest if own else None
            seen = convert(motion.float(), KIMODO, self.inner.representation, lengths, rest)
        return seen.flatten(2)


def feature_weights(
    weights: Mapping[str, float], known: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Weights of the costs of features, and all others.

    Raises:
        UserError: one of the costs has a weight, and the generator is none that has it.
    """
    own = {name: weight for name, weight in weights.items() if name in FEATURE_COSTS and weight}
    if lacking := [name for name in own if name not in known]:
        have = f"it has {', '.join(known)}" if known else "it has none of Kimodo's"
        raise UserError(
            f"weights.{lacking[0]}: this generator has no such cost; {have}. Leave it out: --set weights.{lacking[0]}=0"
        )
    return own, {name: weight for name, weight in weights.items() if name not in FEATURE_COSTS}


def with_feature_costs(
    reward: Reward | None, weights: Mapping[str, float], rest: Tensor | None = None
) -> Reward:
    """One reward of Kimodo's features: `reward`, of joints or rotations, and these costs; rest: as `FeatureReward`."""
    costs = Part(FeatureReward(weights, rest))
    if reward is None:
        return costs.reward
    return UnifiedReward([Part(OfFeatures(reward, rest), reward.width), costs])
