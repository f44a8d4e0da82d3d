"""Changing the frame rate of a motion: cubic for positions, slerp for rotations, at times k / fps."""

import torch
from torch import Tensor

from motionrft.representations.convert import convert
from motionrft.representations.joints import resample_smooth, sample_times
from motionrft.representations.names import (
    FLOWMDM,
    HYMOTION,
    JOINTS,
    KINEMATIC,
    ROTATION,
    representation_name,
)
from motionrft.rotations import quaternion_to_sixd, sixd_to_quaternion, slerp

_THROUGH = {KINEMATIC: JOINTS, HYMOTION: ROTATION, FLOWMDM: ROTATION}
"""Representations that hold velocities or derived positions, and the one in which they are resampled."""


def resample(motion: Tensor, representation: str, source_fps: float, target_fps: float) -> Tensor:
    """Resample one motion (T, D), or joints (T, J, 3), to another frame rate.

    Rotations keep bone lengths; joint positions are interpolated on their own and bones change by a hair between two
    frames of fast turning. Kinematic features go through joints and back, which costs a frame.

    Raises:
        UserError: a frame rate is not positive.
    """
    name = representation_name(representation)
    if source_fps == target_fps:
        return motion
    if name in _THROUGH:
        through = _THROUGH[name]
        inner = convert(motion[None], name, through)[0]
        return convert(resample(inner, through, source_fps, target_fps)[None], through, name)[0]
    if name == JOINTS:
        return resample_smooth(motion, source_fps, target_fps)
    path = resample_smooth(motion[:, :3], source_fps, target_fps)
    rotations = sixd_to_quaternion(motion[:, 3:].unflatten(-1, (22, 6)), "interleaved")
    turned = resample_quaternions(rotations, source_fps, target_fps)
    return torch.cat((path, quaternion_to_sixd(turned, "interleaved").flatten(1)), dim=-1)


def resample_quaternions(rotations: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """Spherical interpolation over the first axis: (T, J, 4) -> (K, J, 4)."""
    before, fraction = sample_times(len(rotations), source_fps, target_fps)
    after = (before + 1).clamp(max=len(rotations) - 1)
    return slerp(rotations[before], rotations[after], fraction.to(rotations)[:, None])
