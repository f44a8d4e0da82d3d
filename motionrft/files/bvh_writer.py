"""Writing BVH: SMPL-22 in a T-pose, right-handed, Y up, as Blender and game engines open it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.units import UNITS
from motionrft.representations.rotation import fit_rest_joints, joints_to_rotation, rotation_matrices
from motionrft.rotations import matrix_to_euler
from motionrft.skeleton import SMPL22
from motionrft.training.atomic import write_text

AXES = "ZXY"
"""Order of the rotation channels: with X in the middle, gimbal lock needs a joint bent by a right angle about X."""
RIGID = 2e-5
"""Metres. A bone that moves less than this in its parent's frame is written as a constant offset."""

_TIPS = {
    15: (0.0, 0.18, 0.0),
    10: (0.0, 0.0, 0.07),
    11: (0.0, 0.0, 0.07),
    20: (0.17, 0.0, 0.0),
    21: (-0.17, 0.0, 0.0),
}
"""Where head, toes and hands end in the rest pose, metres from their joint: drawn by viewers, not part of the motion."""


def bvh_text(joints: Tensor, fps: float, unit: str = "centimetres") -> str:
    """A BVH file of the motion.

    The rest pose is the T-pose that fits the clip (its bone lengths, its hips and collars). Where the bones of the
    motion are not rigid, as in generated joints, every joint gets position channels, which replace its offset: what is
    read back is the motion, not a rigid approximation of it.

    Args:
        joints: (T, 22, 3) metres, Y up.
        unit: a key of `UNITS`; numbers in the file are in it.
    """
    if joints.shape[-2:] != (22, 3):
        raise UserError(f"BVH is written from 22 SMPL joints, not from shape {tuple(joints.shape)}.")
    clip = joints.double()[None]
    rest = fit_rest_joints(clip)
    local = rotation_matrices(joints_to_rotation(clip, rest))[0]
    positions = _local_positions(joints.double(), local)
    offsets = rest[0] - torch.cat((rest[0, :1], rest[0, list(SMPL22.parents[1:])]))
    rigid = bool(((positions - offsets)[:, 1:].norm(dim=-1) < RIGID).all())
    scale = 1 / UNITS[unit]
    values = _channel_values(local, positions * scale, rigid)
    lines = ["HIERARCHY", *_joint_lines(0, offsets * scale, scale, rigid, ""), "MOTION"]
    lines += [f"Frames: {len(joints)}", f"Frame Time: {1 / fps:.8f}"]
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values.tolist())
    return "\n".join(lines) + "\n" + rows + "\n"


def write_bvh(path: Path, joints: Tensor, fps: float, unit: str = "centimetres") -> None:
    """Write `bvh_text` to a file, whole or not at all."""
    write_text(path, bvh_text(joints, fps, unit))


def _local_positions(joints: Tensor, local: Tensor) -> Tensor:
    """Each joint seen from its parent's frame (T, 22, 3); the pelvis in the world."""
    world, places = [local[:, 0]], [joints[:, 0]]
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        bone = (joints[:, joint] - joints[:, parent])[..., None]
        places.append((world[parent].transpose(-1, -2) @ bone).squeeze(-1))
        world.append(world[parent] @ local[:, joint])
    return torch.stack(places, dim=1)


def _channel_values(local: Tensor, positions: Tensor, rigid: bool) -> np.ndarray:
    """(T, C) numbers in the order in which `_joint_lines` declares the channels."""
    # Unwrapped, so that software interpolating between frames never spins the long way round.
    angles = np.rad2deg(np.unwrap(matrix_to_euler(local, AXES).numpy(), axis=0))
    columns = []
    for joint in _file_order(0):
        if joint == 0 or not rigid:
            columns.append(positions[:, joint].numpy())
        columns.append(angles[:, joint])
    return np.concatenate(columns, axis=1)


def _file_order(joint: int) -> list[int]:
    """Joints depth first, as a hierarchy lists them."""
    return [joint, *(below for child in SMPL22.children(joint) for below in _file_order(child))]


def _joint_lines(joint: int, offsets: Tensor, scale: float, rigid: bool, indent: str) -> list[str]:
    kind = "ROOT" if joint == 0 else "JOINT"
    rotations = " ".join(f"{axis}rotation" for axis in AXES)
    moving = joint == 0 or not rigid
    channels = f"6 Xposition Yposition Zposition {rotations}" if moving else f"3 {rotations}"
    inner = indent + "  "
    lines = [f"{indent}{kind} {SMPL22.names[joint]}", f"{indent}{{", _offset(inner, offsets[joint].tolist())]
    lines.append(f"{inner}CHANNELS {channels}")
    for child in SMPL22.children(joint):
        lines += _joint_lines(child, offsets, scale, rigid, inner)
    if joint in _TIPS:
        tip = _offset(inner + "  ", [value * scale for value in _TIPS[joint]])
        lines += [f"{inner}End Site", f"{inner}{{", tip, f"{inner}}}"]
    return [*lines, f"{indent}}}"]


def _offset(indent: str, values: list[float]) -> str:
    return indent + "OFFSET " + " ".join(f"{value:.6f}" for value in values)
