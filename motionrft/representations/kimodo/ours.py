"""Kimodo's features as our joints and rotations, by forward kinematics of their rotations, and our rotations as SOMA's.

SOMA's rest frames are aligned with the world, as ours are, so the rotations of the joints that are also ours carry over
as they are; only the parents differ (our head hangs on SOMA's lower neck).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import zero_padding
from motionrft.representations.kimodo import features as kimodo
from motionrft.representations.kimodo.features import KimodoFeatures, rest_like, skeleton_of_features
from motionrft.representations.kimodo.retarget import soma30_pose
from motionrft.representations.kimodo.skeletons import G1, SMPLX22, SOMA30, joints22, picked, soma_names
from motionrft.representations.retargeting import joints_to_default_rotation
from motionrft.representations.rotation import default_rest_joints, rotation_matrices, rotation_to_joints
from motionrft.rotations import matrix_to_sixd
from motionrft.skeleton import SMPL22


def kimodo_to_joints(values: Tensor, lengths: Tensor | None = None, rest: Tensor | None = None) -> Tensor:
    """Our joints (B, T, 22, 3) of features (B, T, 12 J + 9), differentiable in the rotations and the root.

    Args:
        rest: (J, 3) rest joints; None: the skeleton's own.
    """
    skeleton, features = skeleton_of_features(values.shape[-1]), KimodoFeatures(values)
    world = features.rotations
    posed = kimodo.forward_kinematics(world, features.root, skeleton, rest_like(skeleton, rest, values))
    joints = joints22(posed, world)
    return joints if lengths is None else zero_padding(joints, lengths)


def kimodo_to_rotation(values: Tensor, lengths: Tensor | None = None, rest: Tensor | None = None) -> Tensor:
    """Our 135 numbers (B, T, 135) of features (B, T, 12 J + 9), on our default skeleton.

    People's rotations are exactly their features'; their path is scaled to our legs. The robot's are a fit to its joints.
    """
    skeleton, features = skeleton_of_features(values.shape[-1]), KimodoFeatures(values)
    if skeleton is G1:
        return joints_to_default_rotation(kimodo_to_joints(values, lengths), lengths)
    world, rest = features.rotations, rest_like(skeleton, rest, values)
    if skeleton is not SMPLX22:
        ours = [skeleton.names.index(name) for name in soma_names()]
        world, rest = picked(world, ours, -3), picked(rest, ours, -2)  # (B, T, 22, 3, 3), (22, 3)
    sixd = matrix_to_sixd(kimodo.local_rotations(world, SMPL22.parents), "interleaved")
    rotation = torch.cat((_default_path(features.root, rest), sixd.flatten(-2)), dim=-1)
    return rotation if lengths is None else zero_padding(rotation, lengths)


def _measures(rest: Tensor) -> tuple[Tensor, Tensor]:
    """Length of a leg, and the pelvis above the lower toe, of rest joints (22, 3)."""
    (thigh, shin), toes = SMPL22.legs, (10, 11)
    hip = SMPL22.parents[thigh]
    legs = (rest[thigh] - rest[hip]).norm() + (rest[shin] - rest[thigh]).norm()
    return legs, rest[0, 1] - torch.minimum(rest[toes[0], 1], rest[toes[1], 1])


_REST = default_rest_joints()
_LEGS, _HIGH = (float(measure) for measure in _measures(_REST))
_PELVIS = tuple(_REST[0].tolist())
"""Of our default skeleton, metres: a leg, the pelvis above the lower toe, and where the pelvis rests."""


@cache
def people_to_robot() -> float:
    """Length of our default skeleton's legs in legs of the Unitree G1."""
    standing = torch.eye(3, dtype=torch.float64).expand(G1.joints, 3, 3)
    return _LEGS / float(_measures(joints22(G1.rest_joints, standing))[0])


def _default_path(root: Tensor, rest: Tensor) -> Tensor:
    """(..., 3) translation of our default skeleton: the pelvis' path scaled to its legs, standing where that body
    stands.
    """
    legs, high = _measures(rest)
    ratio = _LEGS / legs
    x, y, z = (root * ratio).unbind(-1)
    y = y + (_HIGH - high * ratio)
    return torch.stack([place - start for place, start in zip((x, y, z), _PELVIS, strict=True)], dim=-1)


def rotation_to_kimodo(rotation: Tensor, lengths: Tensor | None = None) -> Tensor:
    """SOMA's features (B, T, 369) of our 135 numbers (B, T, 135): limbs keep their directions, bones become SOMA's.

    Each motion begins at x = z = 0, facing +Z, as the features of training motions do before they are turned.
    """
    return _each(rotation, lengths, _soma_features)


def rotation_to_smplx(rotation: Tensor, rest: Tensor, lengths: Tensor | None = None) -> Tensor:
    """SMPL-X' features (B, T, 273) of our 135 numbers (B, T, 135), on the rest joints (22, 3)."""

    def features(clip: Tensor) -> Tensor:
        root = clip[:, :3] + default_rest_joints()[0].to(clip)
        return kimodo.canonical(kimodo.encode(rotation_matrices(clip), root, SMPLX22, rest))

    return _each(rotation, lengths, features)


def _soma_features(clip: Tensor) -> Tensor:
    """(T, 369) of one motion (T, 135)."""
    joints = rotation_to_joints(clip[None])[0]
    local = rotation_matrices(clip)
    world = [local[:, 0]]
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        world.append(world[parent] @ local[:, joint])
    soma, root = soma30_pose(joints, torch.stack(world, dim=1))
    return kimodo.canonical(kimodo.encode(soma, root, SOMA30))


def _each(motions: Tensor, lengths: Tensor | None, features) -> Tensor:  # type: ignore[no-untyped-def]
    """Motion by motion, in float64, for the path of each is smoothed over its own frames; zeros beyond."""
    frames = [motions.shape[1]] * len(motions) if lengths is None else lengths.tolist()
    made = [
        features(motion[:count].double()).to(motions) for motion, count in zip(motions, frames, strict=True)
    ]
    padded = motions.new_zeros(*motions.shape[:2], made[0].shape[-1])
    for row, clip in zip(padded, made, strict=True):
        row[: len(clip)] = clip
    return padded


def check_people(width: int) -> None:
    """Refuse to make the robot's features of a person's motion.

    Raises:
        UserError: as said.
    """
    if skeleton_of_features(width) is G1:
        raise UserError(
            "motions of people are not made into the robot's features; give motions of 417 numbers."
        )
