"""Joints seen from the body: what a network that reads several frames at once can tell poses from.

World positions mix where somebody is with what somebody does: a hand moves centimetres, a run metres, and walking
east is another motion than walking north. The kinematic features know neither place nor direction; here joints
lose both, a few frames at a time, and keep how far the body went and turned.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.representations.kinematic import skeleton_of_joints

_SMALL = 1e-8
"""Square metres: two hips in one place (padding) face nowhere, and their gradient has to stay finite."""


def seen_from_windows(joints: Tensor, frames: int) -> Tensor:
    """Every window of `frames` frames, seen from the body in its first.

    The origin is the ground below the root of the window's first frame, and the body faces +Z there. That root's own x
    and z, zero by this choice, hold how far it came since the window before, in the same axes.

    Args:
        joints: (B, T, J, 3), Y up; the last window may be short.

    Returns:
        (B, T, J, 3), differentiable.
    """
    length = joints.shape[1]
    missing = -length % frames
    windows = F.pad(joints, (0, 0, 0, 0, 0, missing)).unflatten(1, (-1, frames))  # (B, W, n, 22, 3)
    first = windows[:, :, 0]
    x, z = first[..., 0, 0], first[..., 0, 2]
    ground = torch.stack((x, torch.zeros_like(x), z), dim=-1)  # (B, W, 3)
    came = F.pad(ground[:, 1:] - ground[:, :-1], (0, 0, 1, 0))
    axes = _axes(first)
    seen = (windows - ground[:, :, None, None]) @ axes[:, :, None]
    root = seen[:, :, 0, 0] + (came[:, :, None] @ axes)[:, :, 0]
    seen = torch.cat((root[:, :, None], seen.flatten(2, 3)[:, :, 1:]), dim=2)
    return seen.view_as(windows).flatten(1, 2)[:, :length]


def _axes(joints: Tensor) -> Tensor:
    """The body's axes as columns, (..., 3, 3): v @ axes are a vector's components to its left, up and ahead."""
    a, b, c, d = (joints[..., i, :] for i in skeleton_of_joints(joints.shape[-2]).facing)
    across = a - b + c - d  # to the body's right
    x, z = across[..., 0], across[..., 2]
    size = (x.square() + z.square() + _SMALL).sqrt()
    cos, sin = -x / size, -z / size
    nothing, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = ((cos, nothing, -sin), (nothing, one, nothing), (sin, nothing, cos))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
