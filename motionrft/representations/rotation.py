"""SMPL-style rotations, 135 numbers a frame: translation, then 22 rotations as interleaved 6D (HY-Motion's layout).

Joint 0 is the global orientation, the others are relative to their parents; the rotation AT a joint turns the bones
that leave it. The pelvis lies at translation + rest pose of the pelvis.
"""

from functools import cache

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import length_mask, zero_padding
from motionrft.moving import chosen, moved
from motionrft.rotations import (
    best_rotation,
    matrix_to_quaternion,
    matrix_to_sixd,
    normalise,
    planar,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_to_sixd,
    shortest_arc,
    sixd_to_matrix,
)
from motionrft.skeleton import SMPL22

WIDTH = 135
_PARENTS = list(SMPL22.parents)

MANNEQUIN_REST = (
    (-0.001795, -0.190827, 0.028219),
    (0.080577, -0.280765, 0.025117),
    (-0.080577, -0.280765, 0.025117),
    (0.000000, -0.096641, 0.031726),
    (0.099836, -0.658082, 0.014663),
    (-0.097853, -0.658178, 0.014663),
    (0.000000, 0.025981, 0.029185),
    (0.101074, -1.056220, -0.037459),
    (-0.096997, -1.056317, -0.037459),
    (0.000000, 0.106241, 0.005012),
    (0.113632, -1.127859, 0.105247),
    (-0.109179, -1.128021, 0.105247),
    (0.000000, 0.302071, -0.014954),
    (0.054692, 0.225074, -0.020233),
    (-0.054692, 0.225074, -0.020233),
    (0.000000, 0.397715, -0.016454),
    (0.165353, 0.237455, -0.016860),
    (-0.165353, 0.237455, -0.016860),
    (0.433444, 0.249386, -0.029562),
    (-0.433444, 0.249386, -0.029562),
    (0.702487, 0.253420, -0.042731),
    (-0.702487, 0.253420, -0.042731),
)
"""T-pose of HY-Motion's mannequin, metres, SMPL-22 order."""

_SEVERAL_CHILDREN = (0, 9)
"""Pelvis and chest: their rotation is fitted to three bones at once."""
_LEVELS = ((1, 2, 3), (4, 5, 6), (7, 8), (12, 13, 14), (16, 17), (18, 19))
"""Joints with one child, parents before children. Joint 9 comes between (6) and (12, 13, 14)."""
_ONLY_CHILD = {parent: SMPL22.children(parent)[0] for level in _LEVELS for parent in level}


@cache
def default_rest_joints() -> Tensor:
    """(22, 3) float64: the mannequin's T-pose directions with HumanML3D's bone lengths."""
    mannequin = torch.tensor(MANNEQUIN_REST, dtype=torch.float64)  # (22, 3)
    lengths = SMPL22.target_offsets.norm(dim=-1)  # (22,)
    return rest_with_lengths(mannequin, lengths)


def rest_like(like: Tensor, rest: Tensor | None = None) -> Tensor:
    """A rest pose, (22, 3) or (B, 22, 3), where and as `like` is, without waiting; `default_rest_joints` if None."""
    return moved((default_rest_joints() if rest is None else rest).to(like.dtype), like.device)


def rest_with_lengths(rest: Tensor, lengths: Tensor) -> Tensor:
    """A rest pose (..., 22, 3) with its own directions and pelvis but the given bone lengths (..., 22)."""
    bones = normalise(rest[..., 1:, :] - rest[..., _PARENTS[1:], :]) * lengths[..., 1:, None]  # (..., 21, 3)
    return assemble_rest(rest[..., 0, :], bones)


def assemble_rest(pelvis: Tensor, bones: Tensor) -> Tensor:
    """Rest joints (..., 22, 3) from the pelvis (..., 3) and the 21 bone vectors (..., 21, 3)."""
    places = [pelvis]
    for joint, parent in enumerate(_PARENTS[1:]):
        places.append(places[parent] + bones[..., joint, :])
    return torch.stack(places, dim=-2)  # (..., 22, 3)


def rotation_matrices(rotation: Tensor) -> Tensor:
    """The 22 local rotations of (..., 135) as matrices (..., 22, 3, 3); raw 6D is made orthonormal."""
    check_width(rotation)
    return sixd_to_matrix(planar(rotation[..., 3:].unflatten(-1, (22, 6))), "interleaved")


def check_width(rotation: Tensor) -> None:
    if rotation.shape[-1] != WIDTH:
        raise UserError(
            f"last axis is {rotation.shape[-1]}. A rotation motion has {WIDTH}: translation and 22 x 6."
        )


def rotation_to_joints(
    rotation: Tensor, rest_joints: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    """Forward kinematics: (B, T, 135) -> (B, T, 22, 3), differentiable.

    Args:
        rest_joints: (22, 3), or (B, 22, 3) for one a clip; `default_rest_joints` if None.
        lengths: (B,) valid frames; frames beyond come out as zeros.
    """
    rest = rest_like(rotation, rest_joints)
    local = rotation_matrices(rotation)  # (B, T, 22, 3, 3)
    offsets = (rest[..., 1:, :] - chosen(rest, _PARENTS[1:], -2)).reshape(-1, 1, 21, 3)  # (B or 1, 1, 21, 3)
    pelvis = rotation[..., :3] + rest[..., 0, :].reshape(-1, 1, 3)  # (B, T, 3)
    joints = forward_kinematics(local, offsets.expand(len(rotation), -1, -1, -1), pelvis)  # (B, T, 22, 3)
    return joints if lengths is None else zero_padding(joints, lengths)


def forward_kinematics(local: Tensor, offsets: Tensor, root: Tensor) -> Tensor:
    """Joints (B, T, 22, 3) from local matrices (B, T, 22, 3, 3), bones (B, 1 or T, 21, 3) and the pelvis (B, T, 3)."""
    world, places = [local[:, :, 0]], [root]
    for joint, parent in enumerate(_PARENTS[1:], start=1):
        bone = offsets[:, :, joint - 1, :, None]  # (B, 1 or T, 3, 1)
        places.append(places[parent] + (world[parent] @ bone).squeeze(-1))
        world.append(world[parent] @ local[:, :, joint])
    return torch.stack(places, dim=2)  # (B, T, 22, 3)


def joints_to_rotation(
    joints: Tensor, rest_joints: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    """Fit rotations to joints: (B, T, 22, 3) -> (B, T, 135). Lossy: joints do not tell the twist of a bone.

    Pelvis and chest are fitted to their three bones (Kabsch); a joint with one child takes the shortest arc from its
    parent's frame; head, wrists and feet inherit. Forward kinematics of the result meets the joints only as far as
    the rest pose has their bone lengths and their angles between hips and spine, neck and collars: `fit_rest_joints`
    gives such a rest pose, `rotation_residual` says how far off it is.
    """
    rest = rest_like(joints, rest_joints).reshape(-1, 1, 22, 3)  # (B or 1, 1, 22, 3)
    pelvis = joints[:, :, 0] - rest[:, :, 0]  # (B, T, 3)
    sixd = quaternion_to_sixd(_inverse_kinematics(joints, rest), "interleaved")  # (B, T, 22, 6)
    rotation = torch.cat((pelvis, sixd.flatten(2)), dim=-1)  # (B, T, 135)
    return rotation if lengths is None else zero_padding(rotation, lengths)


def _inverse_kinematics(joints: Tensor, rest: Tensor) -> Tensor:
    """Local quaternions (B, T, 22, 4) that turn the rest pose (B or 1, 1, 22, 3) into the joints."""
    world = _world_rotations(joints, rest)
    identity = torch.zeros_like(world[0])  # (B, T, 4)
    identity[..., 0] = 1
    local = [world[0]]
    for joint, parent in enumerate(_PARENTS[1:], start=1):
        leaf = joint not in world
        local.append(
            identity if leaf else quaternion_multiply(quaternion_conjugate(world[parent]), world[joint])
        )
    return torch.stack(local, dim=2)  # (B, T, 22, 4)


def _world_rotations(joints: Tensor, rest: Tensor) -> dict[int, Tensor]:
    """World quaternion (B, T, 4) of every joint that has children."""
    world = {0: _fit_children(joints, rest, 0)}
    for level in _LEVELS:
        if 9 not in world and 6 in world:
            world[9] = _fit_children(joints, rest, 9)
        children = [_ONLY_CHILD[joint] for joint in level]
        parents = torch.stack([world[_PARENTS[joint]] for joint in level], dim=2)  # (B, T, n, 4)
        bones, rest_bones = (  # (B, T, n, 3) and (B or 1, 1, n, 3)
            normalise(chosen(each, children, 2) - chosen(each, level, 2)) for each in (joints, rest)
        )
        turned_back = quaternion_rotate(quaternion_conjugate(parents), bones)  # (B, T, n, 3)
        turned = quaternion_multiply(parents, shortest_arc(rest_bones.expand_as(turned_back), turned_back))
        world.update(zip(level, turned.unbind(2), strict=True))
    return world


def _fit_children(joints: Tensor, rest: Tensor, joint: int) -> Tensor:
    children = list(SMPL22.children(joint))
    source = chosen(rest, children, 2) - rest[:, :, joint : joint + 1]  # (B or 1, 1, n, 3)
    target = chosen(joints, children, 2) - joints[:, :, joint : joint + 1]  # (B, T, n, 3)
    return matrix_to_quaternion(best_rotation(source.expand_as(target), target))  # (B, T, 4)


def fit_rest_joints(
    joints: Tensor, rest_joints: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    """A rest pose a clip, (B, 22, 3), with which `joints_to_rotation` loses nothing on a rigid skeleton.

    Bone lengths are the clip's own (mean over frames). The bones that leave the pelvis and the chest point where they
    do on average, seen from the fitted rotation of that joint.
    """
    start = (default_rest_joints() if rest_joints is None else rest_joints).to(joints).reshape(-1, 22, 3)
    weight = _frame_weights(joints, lengths)  # (B, T, 1)
    bones = joints[:, :, 1:] - joints[:, :, _PARENTS[1:]]  # (B, T, 21, 3)
    mean_lengths = (bones.norm(dim=-1) * weight).sum(1)  # (B, 21)
    measured = torch.cat((torch.zeros_like(mean_lengths[:, :1]), mean_lengths), dim=1)  # (B, 22)
    rest = rest_with_lengths(start.expand(len(joints), -1, -1), measured)  # (B, 22, 3)
    rest_bones = rest[:, 1:] - rest[:, _PARENTS[1:]]  # (B, 21, 3)
    for joint in _SEVERAL_CHILDREN:
        places = [child - 1 for child in SMPL22.children(joint)]
        turn = quaternion_conjugate(_fit_children(joints, rest[:, None], joint))  # (B, T, 4)
        seen = (quaternion_rotate(turn.unsqueeze(2), bones[:, :, places]) * weight.unsqueeze(-1)).sum(1)
        rest_bones = rest_bones.index_copy(1, torch.tensor(places, device=joints.device), seen)
    return assemble_rest(rest[:, 0], rest_bones)  # (B, 22, 3)


def turn_rotation(rotation: Tensor, turn: Tensor, rest_joints: Tensor | None = None) -> Tensor:
    """Turn the world of (T, 135) by the matrix `turn` (3, 3): the pelvis moves with it, and so the rest pose enters."""
    pelvis = (default_rest_joints() if rest_joints is None else rest_joints)[0].to(rotation)  # (3,)
    turn = turn.to(rotation)
    path = (rotation[..., :3] + pelvis) @ turn.T - pelvis  # (T, 3)
    root = turn @ sixd_to_matrix(rotation[..., 3:9], "interleaved")  # (T, 3, 3)
    return torch.cat((path, matrix_to_sixd(root, "interleaved"), rotation[..., 9:]), dim=-1)


def _frame_weights(joints: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, T, 1) weights that average over valid frames."""
    batch, frames = joints.shape[:2]
    if lengths is None:
        return joints.new_full((batch, frames, 1), 1 / frames)
    mask = length_mask(lengths, frames).to(joints.dtype).unsqueeze(-1)  # (B, T, 1)
    return mask / lengths[:, None, None].to(joints.dtype)
