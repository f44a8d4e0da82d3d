"""Where the floor is under a body: what physics measures heights against.

A toe joint lies a few centimetres above the sole, how many depends on the skeleton, and data sets in HumanML3D's manner
put the lowest joint of each clip at 0. So a body stands well if its lowest joints come to between the file's own zero
and a sole above it; the floor for joints is then where they come to, and otherwise the nearer end of that range: a body
sunk by 12 cm is seen to be sunk. Files whose zero is nowhere near the feet (pelvis at the origin, a studio upstairs)
have their floor where the feet are.
"""

import torch
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.representations.kinematic import skeleton_of_joints

SOLE = 0.06
"""m: the thickest sole below a toe joint (Bandai-Namco's actors stand at 0.042, CMU's at 0.01 to 0.08)."""
LOW = 0.05
"""The quantile of the lowest joint's height that counts as standing: a few stray frames do not move the floor."""
NEAR = 0.8
"""Lengths of the leg: feet farther than this above or below zero say that zero is not the floor."""
NEAR_BORROWED = 0.2
"""The same where legs are borrowed: rotations were made for a body of other size, whose pelvis may rest elsewhere."""


def standing_height(joints: Tensor, lengths: Tensor | None = None) -> Tensor:
    """(B,) the height to which the lowest joint comes in joints (B, T, J, 3), without gradient."""
    lowest = joints.detach()[..., 1].amin(2).float()  # (B, T)
    if lengths is not None:
        lowest = lowest.masked_fill(~length_mask(lengths, joints.shape[1]), torch.nan)
    return lowest.nanquantile(LOW, dim=1).to(joints.dtype)


def floor_height(joints: Tensor, lengths: Tensor | None = None, near: float = NEAR) -> Tensor:
    """(B,) the height of the floor under joints (B, T, J, 3), metres, Y up, without gradient.

    Args:
        near: lengths of the leg within which the file's own zero is believed.
    """
    stands = standing_height(joints, lengths)
    return torch.where(on_file_floor(joints, lengths, near), stands.clamp(0, SOLE), stands)


def on_file_floor(joints: Tensor, lengths: Tensor | None = None, near: float = NEAR) -> Tensor:
    """(B,) whether the feet are near enough to the file's own zero for it to be the floor."""
    return standing_height(joints, lengths).abs() <= near * leg_length(joints)


def stand_on_floor(joints: Tensor, lengths: Tensor | None = None, near: float = NEAR) -> Tensor:
    """Joints (B, T, J, 3) with the floor at y = 0; nothing else is moved."""
    height = floor_height(joints, lengths, near)[:, None, None]  # (B, 1, 1)
    return torch.cat((joints[..., :1], (joints[..., 1] - height).unsqueeze(-1), joints[..., 2:]), dim=-1)


def leg_length(joints: Tensor) -> Tensor:
    """(B,) thigh and shin of the first frame, metres; what a skeleton's size is told by."""
    skeleton = skeleton_of_joints(joints.shape[2])
    first = joints.detach()[:, 0]
    bones = [(first[:, bone] - first[:, skeleton.parents[bone]]).norm(dim=-1) for bone in skeleton.legs]
    return bones[0] + bones[1]
