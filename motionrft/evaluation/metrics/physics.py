"""Physical metrics on joints, batched: skating, jitter, penetration, floating, bones, energy, heading.

All take `joints` (B, T, J, 3) in metres, Y up, in the canonical frame (floor at 0, first frame facing +Z),
and `lengths` (B,), ignore the padding, and return (B,). Skating is the measure of GMD, OmniControl and
MotionLCM; the others are ours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.evaluation.metrics.exact import exact
from motionrft.lengths import length_mask
from motionrft.representations.kinematic import skeleton_of_joints

FEET = {"smpl22": (10, 11), "kit21": (15, 20)}
"""The joints whose sliding counts, by skeleton."""
HEIGHT_OF_CONTACT = 0.05
"""m: a foot below it touches the floor; a lowest joint above it floats."""
_SHORTEST_BONE = 1e-6
"""m: joints that coincide in the first frame have no length to drift from; this keeps their ratio finite."""
SKATING_SPEED = 0.5
"""m/s, for the speed and for its moving average."""


def skating_ratio(
    joints: Tensor, lengths: Tensor, fps: float, feet: Sequence[int] = FEET["smpl22"]
) -> Tensor:
    """Share of the T - 1 steps in which a foot on the floor slides faster than 0.5 m/s."""
    feet_at = joints[:, :, list(feet)]
    steps = length_mask(lengths - 1, joints.shape[1] - 1)[..., None]
    speed = (
        (feet_at[:, 1:, :, [0, 2]] - feet_at[:, :-1, :, [0, 2]]).norm(dim=-1) * fps * steps
    )  # (B, T-1, feet)
    average = torch.nn.functional.avg_pool1d(speed.transpose(1, 2), 5, stride=1, padding=2).transpose(1, 2)
    low = feet_at[..., 1] < HEIGHT_OF_CONTACT
    skating = low[:, 1:] & low[:, :-1] & (speed > SKATING_SPEED) & (average > SKATING_SPEED) & steps
    return skating.any(dim=2).sum(dim=1) / (lengths - 1).to(joints.dtype)


def jitter_per_joint(joints: Tensor, lengths: Tensor, fps: float) -> Tensor:
    """(B, J) mean |third difference| * fps^3, m/s^3; NaN for clips under 4 frames."""
    third = joints.diff(n=3, dim=1).norm(dim=-1) * fps**3
    return masked_mean(third, length_mask(lengths - 3, third.shape[1]))


def jitter(joints: Tensor, lengths: Tensor, fps: float) -> Tensor:
    """Mean over frames and joints of |third finite difference| * fps^3, m/s^3; NaN for clips under 4
    frames."""
    return jitter_per_joint(joints, lengths, fps).mean(dim=1)


def penetration(joints: Tensor, lengths: Tensor) -> Tensor:
    """Mean depth of the lowest joint below the floor, m."""
    lowest = joints[..., 1].amin(dim=2)
    return masked_mean((-lowest).clamp(min=0), length_mask(lengths, joints.shape[1]))


def floating(joints: Tensor, lengths: Tensor) -> Tensor:
    """Mean height of the lowest joint above 5 cm, m."""
    lowest = joints[..., 1].amin(dim=2)
    return masked_mean((lowest - HEIGHT_OF_CONTACT).clamp(min=0), length_mask(lengths, joints.shape[1]))


def bone_length_drift(joints: Tensor, lengths: Tensor, parents: Sequence[int]) -> Tensor:
    """Mean over frames and bones of |L_t - L_0| / L_0. `parents` (J,), -1 for the root."""
    children = [j for j, parent in enumerate(parents) if parent >= 0]
    vectors = exact(joints[:, :, children]) - exact(joints[:, :, [parents[j] for j in children]])
    bones = vectors.norm(dim=-1)
    drift = (bones - bones[:, :1]).abs() / bones[:, :1].clamp(min=_SHORTEST_BONE)
    return masked_mean(drift, length_mask(lengths, joints.shape[1]).to(drift.device)).mean(dim=1)


def motion_energy(joints: Tensor, lengths: Tensor, fps: float) -> Tensor:
    """Mean joint speed once the root's planar path and the heading are taken out, m/s.

    A pose that glides or turns as one block has none: R-Precision does not see that such a motion stands
    still.
    """
    body = joints - joints[:, :, :1] * joints.new_tensor([1.0, 0.0, 1.0])
    yaw = heading(joints)[..., None]
    x, y, z = body.unbind(dim=-1)
    turned = torch.stack((x * yaw.cos() - z * yaw.sin(), y, x * yaw.sin() + z * yaw.cos()), dim=-1)
    speed = turned.diff(dim=1).norm(dim=-1).mean(dim=2) * fps
    return masked_mean(speed, length_mask(lengths - 1, joints.shape[1] - 1))


def heading_change(joints: Tensor, lengths: Tensor) -> Tensor:
    """Turn of the body from the first to the last frame, radians, whole turns counted; positive to its
    left."""
    steps = heading(joints).diff(dim=1)
    wrapped = torch.remainder(steps + torch.pi, 2 * torch.pi) - torch.pi
    return (wrapped * length_mask(lengths - 1, joints.shape[1] - 1)).sum(dim=1)


def heading(joints: Tensor) -> Tensor:
    """Yaw of the facing direction, (B, T) radians: 0 faces +Z, positive to the left (+X). SMPL-22 or KIT-21."""
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton_of_joints(joints.shape[2]).facing
    across = (joints[:, :, [left_hip, left_shoulder]] - joints[:, :, [right_hip, right_shoulder]]).sum(dim=2)
    return torch.atan2(-across[..., 2], across[..., 0])


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over time of (B, T, ...) where `mask` (B, T) is True; NaN where no frame is."""
    mask = mask.reshape(*mask.shape, *(1,) * (x.dim() - 2))
    # where, not multiplication: padding may hold anything, infinities included.
    return torch.where(mask, x, 0).sum(dim=1) / mask.sum(dim=1)
