"""Writing BVH that every program reads alike: SMPL-22, right-handed, Y up, facing +Z.

Programs differ in what a position channel means where a joint has an OFFSET: Blender and we replace it, three.js adds
to it, some ignore all but the root's. So only the root moves, and its OFFSET is 0; all else are rotations of constant
bones (`fit_rigid`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.rigid_fit import RigidMotion, fit_rigid
from motionrft.files.units import UNITS
from motionrft.representations.rotation import fit_rest_joints, joints_to_rotation, rotation_matrices
from motionrft.rotations import matrix_to_euler
from motionrft.skeleton import SMPL22
from motionrft.training.atomic import write_text

AXES: Final = "ZXY"
"""Order of the rotation channels: with X in the middle, gimbal lock needs a joint bent by a right angle about X."""
RIGID: Final = 5e-4
"""Metres. With position channels: a bone that moves less than this in its parent's frame has none."""
Rest = Literal["standing", "origin", "pelvis", "t-pose"]
"""How the rest pose stands. standing: a joint `root` on the floor carries the body, whose T-pose stands over it.
origin: `pelvis` is the root and rests at the origin, legs below the floor. pelvis: it rests at its height (three.js reads
such a path that much too high). t-pose: as origin, with a T-pose on the floor as first frame."""
RESTS: Final = get_args(Rest)
ROOT: Final = "root"

_TIPS = {
    15: (0.0, 0.18, 0.0),
    10: (0.0, 0.0, 0.07),
    11: (0.0, 0.0, 0.07),
    20: (0.17, 0.0, 0.0),
    21: (-0.17, 0.0, 0.0),
}
"""Where head, toes and hands end in the rest pose, metres from their joint: drawn by viewers, not part of the motion."""


@dataclass(frozen=True)
class BvhStyle:
    """unit: a key of `UNITS`; numbers in the file are in it. positions: joints whose bones move more than half a
    millimetre get position channels, which replace their offset: nothing is lost for those who read them so."""

    unit: str = "centimetres"
    rest: Rest = "standing"
    positions: bool = False


def bvh_text(joints: Tensor, fps: float, style: BvhStyle | None = None) -> tuple[str, RigidMotion | None]:
    """A BVH file of joints (T, 22, 3), metres, Y up; and the rigid motion it holds, None with position channels."""
    style = style or BvhStyle()
    if joints.shape[-2:] != (22, 3):
        raise UserError(f"BVH is written from 22 SMPL joints, not from shape {tuple(joints.shape)}.")
    if style.positions:
        return _text(_with_positions(joints.double()), fps, style), None
    fitted = fit_rigid(joints)
    places = fitted.offsets.expand(len(joints), 22, 3)
    return _text(_Posed(fitted.offsets, fitted.local, fitted.pelvis, places, ()), fps, style), fitted


def write_bvh(path: Path, joints: Tensor, fps: float, style: BvhStyle | None = None) -> RigidMotion | None:
    """Write `bvh_text` to a file, whole or not at all."""
    text, fitted = bvh_text(joints, fps, style)
    write_text(path, text)
    return fitted


@dataclass(frozen=True)
class _Posed:
    """What the file holds, metres. offsets: (22, 3). local: (T, 22, 3, 3). pelvis: (T, 3). places: (T, 22, 3) each joint
    in its parent's frame. moving: joints, beside the root, that have position channels."""

    offsets: Tensor
    local: Tensor
    pelvis: Tensor
    places: Tensor
    moving: tuple[int, ...]


def _with_positions(joints: Tensor) -> _Posed:
    rest = fit_rest_joints(joints[None])
    local = rotation_matrices(joints_to_rotation(joints[None], rest))[0]
    offsets = rest[0] - rest[0, [0, *SMPL22.parents[1:]]]
    world, places = [local[:, 0]], [offsets[0].expand(len(joints), 3)]
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        bone = (joints[:, joint] - joints[:, parent])[..., None]
        places.append((world[parent].transpose(-1, -2) @ bone).squeeze(-1))
        world.append(world[parent] @ local[:, joint])
    found = torch.stack(places, dim=1)  # (T, 22, 3)
    moves = (found - offsets).norm(dim=-1).amax(0) > RIGID
    return _Posed(offsets, local, joints[:, 0], found, tuple(j for j in range(1, 22) if moves[j]))


def _text(posed: _Posed, fps: float, style: BvhStyle) -> str:
    height = _standing_height(posed.offsets)
    if style.rest == "t-pose":
        posed = _after_t_pose(posed, height)
    scale = 1 / UNITS[style.unit]
    pelvis = {"standing": height, "pelvis": height}.get(style.rest, 0.0)
    offsets = posed.offsets.clone()
    offsets[0] = torch.tensor([0.0, pelvis, 0.0])
    tree = _Tree(offsets * scale, scale, posed.moving)
    lines = ["HIERARCHY"]
    if style.rest == "standing":
        lines += [
            f"ROOT {ROOT}",
            "{",
            _offset("  ", [0.0, 0.0, 0.0]),
            f"  CHANNELS 6 {_POSITIONS} {_ROTATIONS}",
        ]
        lines += [*tree.lines(0, "JOINT", "  "), "}"]
    else:
        lines += tree.lines(0, "ROOT", "")
    values = _channel_values(posed, style.rest == "standing", height, scale)
    lines += ["MOTION", f"Frames: {len(values)}", f"Frame Time: {1 / fps:.8f}"]
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values.tolist())
    return "\n".join(lines) + "\n" + rows + "\n"


def _standing_height(offsets: Tensor) -> float:
    """Of the pelvis over the lowest joint of the rest pose, metres."""
    places = [torch.zeros(3, dtype=offsets.dtype)]
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        places.append(places[parent] + offsets[joint])
    return -float(torch.stack(places)[:, 1].min())


def _after_t_pose(posed: _Posed, height: float) -> _Posed:
    """With one frame in front: the rest pose, on the floor below the first frame, facing +Z."""
    still = torch.eye(3, dtype=posed.local.dtype).expand(1, 22, 3, 3)
    below = posed.pelvis[:1] * torch.tensor([1.0, 0.0, 1.0]) + torch.tensor([0.0, height, 0.0])
    return _Posed(
        posed.offsets,
        torch.cat((still, posed.local)),
        torch.cat((below, posed.pelvis)),
        torch.cat((posed.offsets[None], posed.places)),
        posed.moving,
    )


def _channel_values(posed: _Posed, carried: bool, height: float, scale: float) -> np.ndarray:
    """(T, C) numbers in the order in which the tree declares the channels."""
    # Unwrapped, so that software interpolating between frames never spins the long way round.
    angles = np.rad2deg(np.unwrap(matrix_to_euler(posed.local, AXES).numpy(), axis=0))
    path = posed.pelvis.numpy() * scale
    columns = [path - np.array([0.0, height * scale, 0.0]), 0 * path] if carried else [path]
    for joint in _file_order(0):
        if joint in posed.moving:
            columns.append(posed.places[:, joint].numpy() * scale)
        columns.append(angles[:, joint])
    return np.concatenate(columns, axis=1)


def _file_order(joint: int) -> list[int]:
    """Joints depth first, as a hierarchy lists them."""
    return [joint, *(below for child in SMPL22.children(joint) for below in _file_order(child))]


_ROTATIONS = " ".join(f"{axis}rotation" for axis in AXES)
_POSITIONS = "Xposition Yposition Zposition"


@dataclass(frozen=True)
class _Tree:
    """The hierarchy. offsets: (22, 3) in the file's unit. scale: that unit in a metre. moving: see `_Posed`."""

    offsets: Tensor
    scale: float
    moving: tuple[int, ...]

    def lines(self, joint: int, kind: str, indent: str) -> list[str]:
        """A joint and all below it; only a ROOT and moving joints have position channels."""
        moves = kind == "ROOT" or joint in self.moving
        channels = f"6 {_POSITIONS} {_ROTATIONS}" if moves else f"3 {_ROTATIONS}"
        inner = indent + "  "
        lines = [f"{indent}{kind} {SMPL22.names[joint]}", f"{indent}{{"]
        lines += [_offset(inner, self.offsets[joint].tolist()), f"{inner}CHANNELS {channels}"]
        for child in SMPL22.children(joint):
            lines += self.lines(child, "JOINT", inner)
        if joint in _TIPS:
            tip = _offset(inner + "  ", [value * self.scale for value in _TIPS[joint]])
            lines += [f"{inner}End Site", f"{inner}{{", tip, f"{inner}}}"]
        return [*lines, f"{indent}}}"]


def _offset(indent: str, values: list[float]) -> str:
    return indent + "OFFSET " + " ".join(f"{value:.6f}" for value in values)
