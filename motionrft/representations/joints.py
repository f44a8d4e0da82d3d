"""Joint positions: mirroring, the frame rate, and where the body faces."""

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import length_mask
from motionrft.representations.kinematic import skeleton_of_joints
from motionrft.representations.names import HIGHEST_ROOT
from motionrft.skeleton import KIT21


def mirror_joints(joints: Tensor) -> Tensor:
    """Swap left and right: (..., J, 3) reflected at the plane x = 0. Twice is the identity."""
    skeleton = skeleton_of_joints(joints.shape[-2])
    return joints[..., list(skeleton.mirror_order), :] * joints.new_tensor([-1.0, 1.0, 1.0])  # (..., J, 3)


def frames_at(frames: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """How many frames at another rate the durations of `frames` (B,) hold, from first to last frame, (B,) int64."""
    # The small allowance keeps a last frame that rounding would put just beyond the end.
    return ((frames - 1).double() / (source_fps / target_fps) + 1e-6).long() + 1


def sample_times(frames: int, source_fps: float, target_fps: float) -> tuple[Tensor, Tensor]:
    """Where the frames k / target_fps fall between the source frames.

    Returns:
        before (K,) int64 and fraction (K,) float64 in [0, 1): frame k lies at source frame before + fraction.
        K is as many frames as the source's duration (from first to last frame) holds.
    """
    if source_fps <= 0 or target_fps <= 0:
        raise UserError(f"frame rates must be positive: {source_fps:g} to {target_fps:g}.")
    count = int(frames_at(torch.tensor(frames), source_fps, target_fps))
    place = torch.arange(count, dtype=torch.float64) * (source_fps / target_fps)  # (K,)
    before = (place + 1e-9).floor()
    fraction = (place - before).clamp(min=0)  # (K,)
    before = before.long().clamp(max=frames - 1)
    return before, torch.where(before == frames - 1, torch.zeros_like(fraction), fraction)


def resample_smooth(values: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """Interpolation over the first axis by cubics through four frames, (T, ...) -> (K, ...): for recorded positions.

    Frames at a source time come out as they are. Straight lines between frames flatten every bow, and the corners
    they leave are read as jitter. Beyond its ends a clip goes on as its last parabola does; under three frames it is
    interpolated linearly.
    """
    if len(values) < 3:
        return resample_linear(values, source_fps, target_fps)
    return between_frames(values, *sample_times(len(values), source_fps, target_fps))


def between_frames(values: Tensor, before: Tensor, fraction: Tensor) -> Tensor:
    """Values (T, ...), three at least, at frames before (K,) + fraction (K,), by cubics: (K, ...)."""
    first, last = 3 * (values[0] - values[1]) + values[2], 3 * (values[-1] - values[-2]) + values[-3]
    padded = torch.cat((first[None], values, last[None], last[None]))  # frame k lies at k + 1
    x = fraction.to(values).reshape(-1, *(1,) * (values.dim() - 1))  # (K, 1, ...)
    return torch.stack([w * padded[before + k] for k, w in enumerate(cubic_weights(x))]).sum(0)  # (K, ...)


def cubic_weights(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of the frames at -1, 0, 1 and 2 for the cubic through them at x in [0, 1] (Lagrange)."""
    return (
        -x * (x - 1) * (x - 2) / 6,
        (x + 1) * (x - 1) * (x - 2) / 2,
        -(x + 1) * x * (x - 2) / 2,
        (x + 1) * x * (x - 1) / 6,
    )


def resample_linear(values: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """Linear interpolation over the first axis, (T, ...) -> (K, ...): for positions."""
    before, fraction = sample_times(len(values), source_fps, target_fps)
    after = (before + 1).clamp(max=len(values) - 1)  # (K,)
    weight = fraction.to(values).reshape(-1, *(1,) * (values.dim() - 1))  # (K, 1, ...)
    return values[before] + weight * (values[after] - values[before])  # (K, ...)


def heading(joints: Tensor) -> Tensor:
    """Yaw of the facing direction, (B, T) radians: 0 faces +Z, positive to the left (+X). SMPL-22 or KIT-21."""
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton_of_joints(joints.shape[2]).facing
    # Joint by joint: a list as an index is copied to the device, which waits.
    hips = joints[:, :, left_hip] - joints[:, :, right_hip]  # (B, T, 3)
    across = hips + (joints[:, :, left_shoulder] - joints[:, :, right_shoulder])  # (B, T, 3)
    return torch.atan2(-across[..., 2], across[..., 0])  # (B, T)


def heading_change(joints: Tensor, lengths: Tensor) -> Tensor:
    """Turn of the body from the first to the last frame, radians, (B,), whole turns counted; positive to its left."""
    steps = heading(joints).diff(dim=1)  # (B, T - 1)
    wrapped = torch.remainder(steps + torch.pi, 2 * torch.pi) - torch.pi  # (B, T - 1)
    return torch.where(length_mask(lengths - 1, joints.shape[1] - 1), wrapped, 0.0).sum(dim=1)


def metres_per_unit(joints: Tensor) -> Tensor:
    """(B,) what one unit of joints (B, T, J, 3) is: 1 m, or for KIT-21 1 mm where the root begins higher than a house.

    KIT-ML counts millimetres, and so do features, statistics and generators made of it. Nothing but physics, faults and
    pictures has to know.
    """
    if joints.shape[-2] != KIT21.joints:
        return joints.new_ones(len(joints))
    height = joints[:, 0, 0, 1].abs()  # (B,) of the first frame: what lies beyond a length may be anything
    return torch.where(height > HIGHEST_ROOT, 0.001, 1.0).to(joints)


def in_metres(joints: Tensor) -> Tensor:
    """(B, T, J, 3) in metres, whichever unit they come in; see `metres_per_unit`."""
    return joints * metres_per_unit(joints.detach())[:, None, None, None]
