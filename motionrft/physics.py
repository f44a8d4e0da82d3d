"""Physics of joints: every name, unit, threshold and formula, once.

| name | unit | what | differentiable |
| --- | --- | --- | --- |
| `foot_skating` | m/s | how fast what the body stands on slides: the slower of the feet that touch the floor | yes |
| `penetration` | m | depth of the lowest joint below the floor | yes |
| `floating` | m | height of the lowest joint above the height of contact | yes |
| `jitter` | m/s³ | mean length of the third difference of the joints | yes |
| `bone_length_drift` | ratio | mean relative change of the bones against the first frame | yes |
| `skating_ratio` | share | frames in which a foot on the floor slides faster than 0.5 m/s (GMD, 2023) | no |
| `motion_energy` | m/s | mean joint speed without the root's path and the heading | no |
| `hovering` | m | height to which the lowest joint comes at its lowest, over the whole clip | no |
| `lying` | share | frames in which the trunk is more than 60 degrees off the vertical | no |
| `swapped_sides` | share | frames in which the feet point to where hips or shoulders say is behind | no |

Training minimises the `COSTS`; `score` shows them and the `CHECKS`; evaluation prints the `MEASURES`. `foot_skating` and
`skating_ratio` are two quantities and have two names; whatever else both know has one formula. Joints are
(B, T, J, 3) in metres, Y up, floor at 0, of SMPL-22 or KIT-21; each quantity exists per frame, its value is the mean
over the frames that have one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from motionrft.lengths import length_mask
from motionrft.moving import chosen
from motionrft.representations.floor import standing_height
from motionrft.representations.joints import heading, in_metres
from motionrft.representations.kinematic import skeleton_of_joints
from motionrft.skeleton import Skeleton

CONTACT_HEIGHT = 0.05
"""m: about the height of a toe joint on the floor. A foot below it touches; a lowest joint above it floats."""
CONTACT_SOFTNESS = 0.015
"""m: over this height the contact of `foot_skating` fades, which is what gives it a gradient."""
SKATING_SPEED = 0.5
"""m/s: `skating_ratio` counts a frame where the foot's speed, and its average over five frames, are beyond it."""
LYING_ANGLE = 60.0
"""Degrees off the vertical beyond which a trunk lies."""
_SHORTEST_BONE = 1e-6
"""m: joints that coincide in the first frame have no length to drift from; this keeps their ratio finite."""
_TINY = 1e-12
"""m²: below the square root of a norm, so that a standing joint has a gradient of zero and not NaN."""

V = TypeVar("V")


@dataclass(frozen=True)
class Clips:
    """A batch of motions. joints: (B, T, J, 3), padding may hold anything. lengths: (B,). fps: frames a second."""

    joints: Tensor  # (B, T, J, 3)
    lengths: Tensor  # (B,)
    fps: float

    @property
    def skeleton(self) -> Skeleton:
        return skeleton_of_joints(self.joints.shape[2])

    @property
    def toes(self) -> Tensor:
        """(B, T, 2, 3) the toe of either foot."""
        return chosen(self.joints, self.skeleton.feet[1::2], 2)

    @property
    def ankles(self) -> Tensor:
        """(B, T, 2, 3) of the feet in the same order."""
        return chosen(self.joints, self.skeleton.feet[::2], 2)


@dataclass(frozen=True)
class Quantity:
    """One line of the table above.

    label, unit, note: as tables print them. good: `down`, or `near` (to real motion).
    curve: its value a frame, (B, T), zero in the first `lead` frames, which have none.
    """

    label: str
    unit: str
    curve: Callable[[Clips], Tensor]
    lead: int = 0
    good: Literal["down", "near"] = "down"
    note: str = ""


def _foot_skating(clips: Clips) -> Tensor:
    """Expected planar speed of the slowest foot on the floor, (B, T), where contacts are independent chances.

    What carries the body must stand. The other foot may swing through low, as every walker's does at 2 m/s a finger's
    breadth above the floor, or drag: the faster foot, which an earlier version took, reads 0.9 m/s in real walks.
    """
    chance = torch.sigmoid((CONTACT_HEIGHT - clips.toes[..., 1]) / CONTACT_SOFTNESS)  # (B, T, 2)
    a, b = (chance[:, 1:] * chance[:, :-1]).unbind(-1)  # (B, T - 1) each: touching in both frames of the step
    speed = _planar_speed(clips.toes, clips.fps)  # (B, T - 1, 2)
    both, only_a, only_b = a * b, a * (1 - b), b * (1 - a)  # (B, T - 1) each
    return _aligned(both * speed.amin(-1) + only_a * speed[..., 0] + only_b * speed[..., 1], clips)  # (B, T)


def _penetration(clips: Clips) -> Tensor:
    return (-clips.joints[..., 1].amin(-1)).clamp(min=0)  # (B, T)


def _floating(clips: Clips) -> Tensor:
    """A jump floats too: judge over a clip."""
    return (clips.joints[..., 1].amin(-1) - CONTACT_HEIGHT).clamp(min=0)  # (B, T)


def _jitter(clips: Clips) -> Tensor:
    return _aligned(_norm(clips.joints.diff(n=3, dim=1)).mean(-1) * clips.fps**3, clips)  # (B, T)


def _bone_length_drift(clips: Clips) -> Tensor:
    joints = clips.joints
    bones = _norm(joints[:, :, 1:] - chosen(joints, clips.skeleton.parents[1:], 2))  # (B, T, J - 1)
    return ((bones - bones[:, :1]).abs() / bones[:, :1].clamp(min=_SHORTEST_BONE)).mean(-1)  # (B, T)


def _skating_ratio(clips: Clips) -> Tensor:
    """1 where a foot skates in the step that ends here, else 0, (B, T)."""
    steps = length_mask(clips.lengths - 1, clips.joints.shape[1] - 1)[..., None]  # (B, T - 1, 1)
    # Not multiplied: the average must not meet what the padding holds.
    steps_speed = torch.where(steps, _planar_speed(clips.toes, clips.fps), 0.0)  # (B, T - 1, 2)
    speed = F.pad(steps_speed, (0, 0, 1, 0))  # (B, T, 2), each step at its last frame
    average = F.avg_pool1d(speed.transpose(1, 2), 5, stride=1, padding=2).transpose(1, 2)  # (B, T, 2)
    low = clips.toes[..., 1] < CONTACT_HEIGHT  # (B, T, 2)
    touching = low & low.roll(1, dims=1)  # (B, T, 2)
    skating = touching & (speed > SKATING_SPEED) & (average > SKATING_SPEED)  # (B, T, 2)
    return skating.any(-1).to(clips.joints.dtype)  # (B, T)


def _motion_energy(clips: Clips) -> Tensor:
    """A pose that glides or turns as one block has none: R-Precision does not see that such a motion stands still."""
    joints = clips.joints
    x, y, z = joints.unbind(-1)  # (B, T, J) each
    x, z = x - x[:, :, :1], z - z[:, :, :1]  # seen from the pelvis
    yaw = heading(joints)[..., None]  # (B, T, 1)
    turned = torch.stack((x * yaw.cos() - z * yaw.sin(), y, x * yaw.sin() + z * yaw.cos()), dim=-1)
    return _aligned(_norm(turned.diff(dim=1)).mean(-1) * clips.fps, clips)  # (B, T)


def _hovering(clips: Clips) -> Tensor:
    """The same in every frame, (B, T): a jump comes down and a climber starts on the ground, a lifted file never does."""
    height = standing_height(clips.joints, clips.lengths).clamp(min=0)  # (B,)
    return height[:, None].expand(clips.joints.shape[:2])  # (B, T)


def _lying(clips: Clips) -> Tensor:
    """1 where hips to shoulders are more than `LYING_ANGLE` off the vertical, else 0, (B, T)."""
    right_hip, left_hip, right_shoulder, left_shoulder = clips.skeleton.facing
    joints = clips.joints
    shoulders, hips = (right_shoulder, left_shoulder), (right_hip, left_hip)
    trunk = chosen(joints, shoulders, 2).mean(2) - chosen(joints, hips, 2).mean(2)  # (B, T, 3)
    upright = trunk[..., 1].abs() >= math.cos(math.radians(LYING_ANGLE)) * _norm(trunk)  # (B, T)
    return (~upright).to(joints.dtype)  # (B, T)


def _swapped_sides(clips: Clips) -> Tensor:
    """1 where both feet point against the facing of the hips, or of the shoulders, else 0, (B, T).

    A body whose left and right were exchanged faces backwards by its hips and shoulders, its toes do not. One foot
    alone is no sign: a runner's rear foot hangs with the toe behind the ankle.
    """
    feet = (clips.toes - clips.ankles)[..., ::2]  # (B, T, foot, 2), x and z
    swapped = torch.zeros(feet.shape[:2], dtype=torch.bool, device=feet.device)  # (B, T)
    right_hip, left_hip, right_shoulder, left_shoulder = clips.skeleton.facing
    for right, left in ((right_hip, left_hip), (right_shoulder, left_shoulder)):
        across = clips.joints[:, :, left] - clips.joints[:, :, right]  # (B, T, 3)
        forward = torch.stack((-across[..., 2], across[..., 0]), dim=-1)  # (B, T, 2)
        swapped |= ((forward[:, :, None] * feet).sum(-1) < 0).all(-1)  # (B, T)
    return swapped.to(feet.dtype)  # (B, T)


QUANTITIES: dict[str, Quantity] = {
    "foot_skating": Quantity("foot skating", "m/s", _foot_skating, lead=1),
    "penetration": Quantity("penetration", "m", _penetration),
    "floating": Quantity("floating", "m", _floating),
    "jitter": Quantity("jitter", "m/s³", _jitter, lead=3),
    "bone_length_drift": Quantity("bone length drift", "", _bone_length_drift),
    "skating_ratio": Quantity("skating ratio", "", _skating_ratio, lead=1, note="share of frames"),
    "motion_energy": Quantity(
        "motion energy", "m/s", _motion_energy, lead=1, good="near", note="without path and heading"
    ),
    "hovering": Quantity("hovering", "m", _hovering),
    "lying": Quantity("lying", "", _lying, note="share of frames"),
    "swapped_sides": Quantity("swapped sides", "", _swapped_sides, note="share of frames"),
}
COSTS = ("foot_skating", "penetration", "floating", "jitter", "bone_length_drift")
"""What training may weigh (`weights.NAME`) and `score` shows: differentiable, 0 is best."""
CHECKS = ("hovering", "lying", "swapped_sides")
"""What `score` shows besides: signs that a file was read the wrong way, rather than faults of a motion."""
MEASURES = ("jitter", "skating_ratio", "motion_energy", "penetration", "floating")
"""What evaluation prints the mean of."""
RENAMED = {"ground_penetration": "penetration", "bone_drift": "bone_length_drift"}
"""Costs by the names of earlier versions, which presets, flags and saved rewards may still use."""
RENAMED_MEASURES = {"foot_skating": "skating_ratio"}
"""Measures by the names that results and looks of earlier versions have them under."""


def current_name(name: str, renamed: Mapping[str, str] = RENAMED) -> str:
    """What a name of an earlier version is called today; any other name as it is."""
    return renamed.get(name, name)


def current_names(values: Mapping[str, V], renamed: Mapping[str, str] = RENAMED) -> dict[str, V]:
    """`values` under the names of today."""
    return {current_name(name, renamed): value for name, value in values.items()}


def physics_curves(
    joints: Tensor, lengths: Tensor, fps: float, names: Sequence[str] = COSTS
) -> dict[str, Tensor]:
    """Each quantity per frame, (B, T); zero where a frame has no value or lies beyond the length."""
    valid, clips = length_mask(lengths, joints.shape[1]), Clips(in_metres(joints), lengths, fps)
    return {name: torch.where(valid, QUANTITIES[name].curve(clips), 0.0) for name in names}


def physics_terms(
    joints: Tensor, lengths: Tensor, fps: float, names: Sequence[str] = COSTS, missing: float = 0.0
) -> dict[str, Tensor]:
    """Each quantity's mean over a clip, (B,).

    Args:
        missing: the value of a clip too short to have one: 0 costs nothing, NaN is not taken for a measurement.
    """
    means = {}
    for name, curve in physics_curves(joints, lengths, fps, names).items():
        frames = lengths - QUANTITIES[name].lead  # (B,)
        means[name] = torch.where(frames > 0, curve.sum(1) / frames.clamp(min=1), missing)
    return means


def physics_measures(
    joints: Tensor, lengths: Tensor, fps: float, names: Sequence[str] = MEASURES
) -> dict[str, Tensor]:
    """`physics_terms` of what evaluation prints, (B,); NaN for a clip too short to have a value."""
    return physics_terms(joints, lengths, fps, names, missing=math.nan)


def _planar_speed(points: Tensor, fps: float) -> Tensor:
    """Speed along the floor of points (B, T, N, 3), m/s, (B, T - 1, N)."""
    return _norm(points.diff(dim=1)[..., ::2]) * fps  # (B, T - 1, N)


def _norm(vectors: Tensor) -> Tensor:
    """Length over the last axis, with a gradient of zero at zero."""
    squared = vectors.square().sum(-1)
    return torch.where(squared > _TINY, squared.clamp(min=_TINY).sqrt(), 0.0)  # (...,) without the last axis


def _aligned(curve: Tensor, clips: Clips) -> Tensor:
    """Differences (B, T - n) as (B, T): each at its last frame, zero before."""
    return F.pad(curve, (clips.joints.shape[1] - curve.shape[1], 0))  # (B, T)
