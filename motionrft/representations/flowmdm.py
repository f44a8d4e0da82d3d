"""The other 135: root height, planar velocity, 22 rotations (FlowMDM on BABEL), converted from and to `rotation`.

Only the layout is public knowledge here: 0:1 height, 1:3 velocity over the ground, 3:135 rotations. The velocity is
read as the root's step in world axes from the frame before, zero at the first.
"""

import torch
from torch import Tensor

from motionrft.lengths import zero_padding
from motionrft.representations.rotation import check_width


def rotation_to_flowmdm(rotation: Tensor, lengths: Tensor | None = None) -> Tensor:
    """(B, T, 135) -> (B, T, 135). The place where the motion starts is lost."""
    check_width(rotation)
    ground = rotation[..., 0:3:2]
    step = torch.cat((torch.zeros_like(ground[:, :1]), ground[:, 1:] - ground[:, :-1]), dim=1)
    motion = torch.cat((rotation[..., 1:2], step, rotation[..., 3:]), dim=-1)
    return motion if lengths is None else zero_padding(motion, lengths)


def flowmdm_to_rotation(motion: Tensor, lengths: Tensor | None = None) -> Tensor:
    """(B, T, 135) -> (B, T, 135), starting over the origin."""
    check_width(motion)
    ground = motion[..., 1:3].cumsum(1)
    path = torch.stack((ground[..., 0], motion[..., 0], ground[..., 1]), dim=-1)
    rotation = torch.cat((path, motion[..., 3:]), dim=-1)
    return rotation if lengths is None else zero_padding(rotation, lengths)
