"""From any BVH skeleton to the 22 SMPL joints in metres."""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.files.bvh import Bvh, joint_positions
from motionrft.files.joint_maps import UNITS, JointMap, guess_unit, recognise


@dataclass(frozen=True)
class Retargeted:
    """joints: (T, 22, 3) float64, metres, in the file's own world frame. unit and joint_map: what was recognised."""

    joints: Tensor
    fps: float
    unit: str
    joint_map: str


def bvh_to_joints(
    bvh: Bvh, file: str, joint_map: JointMap | None = None, fps: float | None = None, unit: str | None = None
) -> Retargeted:
    """Joint positions of a BVH file on SMPL-22.

    Args:
        file: what messages call it.
        joint_map: which joint is which; recognised by the joint names if None.
        fps: resample to this rate; the file's own if None.
        unit: a key of `UNITS`; guessed from the length of the legs if None.

    Raises:
        UserError: no joint map fits.
    """
    chosen = recognise(bvh.names, file) if joint_map is None else joint_map.checked(bvh.names, file)
    positions, rate = joint_positions(bvh, fps)
    joints = torch.einsum("sj,tjc->tsc", chosen.matrix(bvh.names), positions)
    unit = guess_unit(joints) if unit is None else unit
    return Retargeted(joints * UNITS[unit], rate, unit, chosen.name)
