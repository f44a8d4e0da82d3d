"""A motion as physics sees it, whatever file it came in: joints at one rate, standing on the floor."""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.files.motions import Motion
from motionrft.representations.convert import convert
from motionrft.representations.floor import NEAR, NEAR_BORROWED, floor_height, on_file_floor, stand_on_floor
from motionrft.representations.joints import in_metres
from motionrft.representations.names import JOINTS, KINEMATIC
from motionrft.representations.resample import resample

SAME_RATE = 0.1
"""Frames a second by which two rates may differ and count as one."""


@dataclass(frozen=True)
class Physical:
    """joints: (T, J, 3), metres, floor at 0. remark: what was decided about the floor that a person may want to know."""

    joints: Tensor
    remark: str = ""


def physical_joints(motion: Motion, fps: float) -> Physical:
    """Joints of a motion at this rate, with its floor at y = 0; on its own skeleton.

    Rotations are resampled as rotations, all else as positions: features that hold velocities cannot be.
    """
    values, name = torch.from_numpy(motion.array), motion.representation
    if name == KINEMATIC:
        values, name = convert(values[None], name, JOINTS)[0], JOINTS
    if abs(motion.fps - fps) > SAME_RATE:
        values = resample(values, name, motion.fps, fps)
    joints = convert(values[None], name, JOINTS)  # (1, T, J, 3), or flat
    joints = in_metres(joints if joints.dim() == 4 else joints.unflatten(-1, (-1, 3)))
    near = NEAR if motion.representation in (JOINTS, KINEMATIC) else NEAR_BORROWED
    stood = stand_on_floor(joints, near=near)[0]
    if bool(on_file_floor(joints, near=near)):
        return Physical(stood)
    off = float(floor_height(joints, near=near))
    remark = (
        f"its feet stand {off:+.2f} m from the file's zero, which cannot be the floor: "
        "it is taken where they stand, so nothing sinks or floats."
    )
    return Physical(stood, remark)
