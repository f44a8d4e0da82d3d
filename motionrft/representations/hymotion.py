"""HY-Motion's 201 numbers a frame ("o6dp"): the 135 of `rotation`, then 22 joint positions relative to the pelvis.

The orientation is not taken out of the positions: our reading of the published statistics (std 0 at the pelvis, 0.03
to 0.046 at the hips), since no public code makes them. Every decoder reads the first 135 only.
"""

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import zero_padding
from motionrft.representations.rotation import WIDTH as ROTATION_WIDTH
from motionrft.representations.rotation import rotation_to_joints
from motionrft.rotations import dot, quaternion_to_sixd, sixd_to_quaternion

WIDTH = 201
CONSTANT = 1e-3
"""HY-Motion decodes values whose standard deviation is below this to their mean."""
_SIGMA, _RADIUS = 1.0, 4
_WINDOW, _ORDER = 11, 5


def rotation_to_hymotion(
    rotation: Tensor, rest_joints: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    """Append the joints, seen from the pelvis: (B, T, 135) -> (B, T, 201)."""
    joints = rotation_to_joints(rotation, rest_joints)
    motion = torch.cat((rotation, (joints - joints[:, :, :1]).flatten(2)), dim=-1)
    return motion if lengths is None else zero_padding(motion, lengths)


def hymotion_to_rotation(motion: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Drop the positions: (..., 201) -> (..., 135); with `lengths`, (B, T, 201) and zeros beyond them."""
    if motion.shape[-1] != WIDTH:
        raise UserError(
            f"last axis is {motion.shape[-1]}. A hymotion motion has {WIDTH}: 135 of rotation and 22 joints."
        )
    rotation = motion[..., :ROTATION_WIDTH]
    return rotation if lengths is None else zero_padding(rotation, lengths)


def smooth_rotation(rotation: Tensor) -> Tensor:
    """HY-Motion's smoothing of one decoded motion, (T, 135) -> (T, 135); no gradient.

    Rotations: Gaussian mean (sigma 1, radius 4) of sign-aligned quaternions, the eigenvector kind. Translation:
    Savitzky-Golay, window 11, order 5; a motion of fewer than 11 frames takes the longest odd window, and one too short
    for a polynomial of order 5 keeps its translation.
    """
    quaternions = sixd_to_quaternion(rotation[:, 3:].unflatten(-1, (22, 6)).double(), "interleaved")
    sixd = quaternion_to_sixd(_average(_align_signs(quaternions)), "interleaved").flatten(1)
    return torch.cat((_smooth_path(rotation[:, :3]), sixd.to(rotation)), dim=-1)


def _align_signs(quaternions: Tensor) -> Tensor:
    """Flip quaternions (T, J, 4) so that neighbours in time lie in one hemisphere."""
    flips = torch.sign(dot(quaternions[1:], quaternions[:-1]))
    flips = torch.where(flips == 0, torch.ones_like(flips), flips).cumprod(0)
    return torch.cat((quaternions[:1], quaternions[1:] * flips.unsqueeze(-1)))


def _average(quaternions: Tensor) -> Tensor:
    """The unit quaternion nearest to each window: largest eigenvector of the weighted outer products (Markley 2007)."""
    frames = len(quaternions)
    outer = quaternions.unsqueeze(-1) * quaternions.unsqueeze(-2)  # (T, J, 4, 4)
    total = torch.zeros_like(outer)
    for shift in range(-_RADIUS, _RADIUS + 1):
        index = (torch.arange(frames) + shift).clamp(0, frames - 1)
        total += float(np.exp(-0.5 * (shift / _SIGMA) ** 2)) * outer[index]
    return torch.linalg.eigh(total).eigenvectors[..., -1]


def _smooth_path(path: Tensor) -> Tensor:
    window = min(_WINDOW, len(path) - (len(path) + 1) % 2)
    if window <= _ORDER:
        return path
    from scipy.signal import savgol_filter  # half a second of import that few need

    smoothed = savgol_filter(path.detach().cpu().double().numpy(), window, _ORDER, axis=0)  # (T, 3)
    return torch.from_numpy(smoothed).to(path)
