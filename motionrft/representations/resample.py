"""Changing the frame rate of a motion: cubic for positions, slerp for rotations, at times k / fps."""

import torch
from torch import Tensor

from motionrft.representations.convert import convert, converted_lengths
from motionrft.representations.joints import frames_at, resample_smooth, sample_times
from motionrft.representations.kimodo.features import (
    KimodoFeatures,
    encode,
    local_rotations,
    skeleton_of_features,
)
from motionrft.representations.names import (
    FLOWMDM,
    HYMOTION,
    JOINTS,
    KIMODO,
    KINEMATIC,
    ROTATION,
    representation_name,
)
from motionrft.rotations import (
    matrix_to_quaternion,
    quaternion_to_matrix,
    quaternion_to_sixd,
    sixd_to_quaternion,
    slerp,
)

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
    if name == KIMODO:
        return _resample_kimodo(motion, source_fps, target_fps)
    if name == JOINTS:
        return resample_smooth(motion, source_fps, target_fps)
    path = resample_smooth(motion[:, :3], source_fps, target_fps)
    rotations = sixd_to_quaternion(motion[:, 3:].unflatten(-1, (22, 6)), "interleaved")
    turned = resample_quaternions(rotations, source_fps, target_fps)
    return torch.cat((path, quaternion_to_sixd(turned, "interleaved").flatten(1)), dim=-1)


def resampled_lengths(lengths: Tensor, representation: str, source_fps: float, target_fps: float) -> Tensor:
    """Frames (B,) of motions of those lengths (B,) after `resample`."""
    name = representation_name(representation)
    if source_fps == target_fps:
        return lengths
    through = _THROUGH.get(name, name)
    counts = frames_at(converted_lengths(lengths, name, through), source_fps, target_fps)
    return converted_lengths(counts, through, name)


def _resample_kimodo(values: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """(T, 12 J + 9) made anew from resampled rotations and path: velocities are a frame's, and the smooth path is a
    filter's.
    """
    skeleton, features = skeleton_of_features(values.shape[-1]), KimodoFeatures(values)
    turned = resample_quaternions(matrix_to_quaternion(features.rotations), source_fps, target_fps)
    path = resample_smooth(features.root, source_fps, target_fps)
    local = local_rotations(quaternion_to_matrix(turned), skeleton.parents)
    return encode(local, path, skeleton)


def resample_quaternions(rotations: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """Spherical interpolation over the first axis: (T, J, 4) -> (K, J, 4)."""
    before, fraction = sample_times(len(rotations), source_fps, target_fps)
    after = (before + 1).clamp(max=len(rotations) - 1)
    return slerp(rotations[before], rotations[after], fraction.to(rotations)[:, None])
