"""Playing joints on the default skeleton as rotations: directions are kept, and the path fits the legs.

Rotations carry no bone lengths, so whoever reads them plays them on a skeleton of its own. Longer legs on an unscaled
path slide at every step and hang in the air or stand in the ground.
"""

import torch
from torch import Tensor

from motionrft.lengths import zero_padding
from motionrft.representations.floor import leg_length, standing_height
from motionrft.representations.rotation import joints_to_rotation, rest_like, rotation_to_joints


def joints_to_default_rotation(joints: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Fit rotations of the default skeleton: (B, T, 22, 3) -> (B, T, 135), differentiable.

    The root's path is scaled by the ratio of the legs, so that feet that stood still still stand, and lifted by a
    constant, so that they stand on the same height as they did. Joints of the default skeleton come back as they were.
    """
    rest = rest_like(joints)
    path = joints[:, :, 0] * _leg_ratio(rest, joints)  # (B, T, 3)
    rotation = joints_to_rotation(joints, rest)[..., 3:]  # (B, T, 132)
    played = torch.cat((path - rest[0], rotation), dim=-1)
    lift = standing_height(joints, lengths) - standing_height(rotation_to_joints(played, rest), lengths)
    up = torch.stack((torch.zeros_like(lift), lift, torch.zeros_like(lift)), dim=-1)[:, None]  # (B, 1, 3)
    played = torch.cat((played[..., :3] + up, rotation), dim=-1)
    return played if lengths is None else zero_padding(played, lengths)


def _leg_ratio(rest: Tensor, joints: Tensor) -> Tensor:
    """(B, 1, 1) legs of the rest pose over legs of the joints; 1 for a body without legs (an all-zero motion)."""
    theirs = leg_length(joints)
    some = theirs > 1e-6
    ours = leg_length(rest[None, None])
    return torch.where(some, ours / theirs.clamp_min(1e-6), torch.ones_like(theirs))[:, None, None]
