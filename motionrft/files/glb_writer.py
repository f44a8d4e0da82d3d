"""Writing binary glTF 2.0: a skeleton, a simple body skinned to it, and one animation.

What Blender, Unreal, Unity and three.js import without settings: metres, Y up, facing +Z, quaternions (x, y, z, w),
inverse bind matrices by columns. Reference: the glTF 2.0 specification (Khronos, ISO/IEC 12113:2022).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import motionrft
from motionrft.errors import UserError
from motionrft.files.rigid_fit import RigidMotion, fit_rigid
from motionrft.files.stick_body import Mesh, stick_body
from motionrft.rotations import matrix_to_quaternion
from motionrft.skeleton import SMPL22
from motionrft.training.atomic import atomic_file

_FLOAT, _USHORT, _UBYTE = 5126, 5123, 5121
_TYPES = {_FLOAT: np.float32, _USHORT: np.uint16, _UBYTE: np.uint8}
_ARRAY, _INDEX = 34962, 34963
_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942


def write_glb(path: Path, joints: Tensor, fps: float, name: str, text: str | None = None) -> RigidMotion:
    """Write joints (T, 22, 3), metres, Y up, as an animated body, whole or not at all.

    Args:
        name: of the animation. text: what it shows, kept in its extras.

    Returns:
        The rigid motion that the file holds; bones of glTF do not stretch.

    Raises:
        UserError: other joints than the 22 of SMPL.
    """
    if joints.shape[-2:] != (22, 3):
        raise UserError(f"GLB is written from 22 SMPL joints, not from shape {tuple(joints.shape)}.")
    fitted = fit_rigid(joints)
    data = glb_bytes(fitted, fps, name, text)
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)
    return fitted


def glb_bytes(motion: RigidMotion, fps: float, name: str, text: str | None = None) -> bytes:
    """The bytes of the file."""
    buffer = _Buffer()
    rest = _standing(motion.rest)  # (22, 3)
    extras = {"fps": fps, **({} if text is None else {"text": text})}
    document = {
        "asset": {"version": "2.0", "generator": f"motionrft {motionrft.__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0, len(SMPL22.names)]}],
        "nodes": [*_joint_nodes(rest, motion.offsets), {"name": "body", "mesh": 0, "skin": 0}],
        "skins": [
            {
                "joints": list(range(22)),
                "skeleton": 0,
                "inverseBindMatrices": buffer.add(_inverse_bind(rest), "MAT4", _FLOAT),
            }
        ],
        "meshes": [{"name": "body", "primitives": [_primitive(stick_body(rest), buffer)]}],
        "materials": [
            {
                "name": "body",
                "pbrMetallicRoughness": {"baseColorFactor": [0.36, 0.52, 0.72, 1.0], "metallicFactor": 0.0},
            }
        ],
        "animations": [{"name": name, "extras": extras, **_animation(motion, fps, buffer)}],
    }
    document |= {"accessors": buffer.accessors, "bufferViews": buffer.views}
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    return _container(document, bytes(buffer.data))


def _standing(rest: Tensor) -> np.ndarray:
    """(22, 3) the rest pose with its lowest joint on the floor."""
    places = rest.numpy()
    return places - np.array([0.0, places[:, 1].min(), 0.0])


def _joint_nodes(rest: np.ndarray, offsets: Tensor) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for joint, name in enumerate(SMPL22.names):
        place = rest[0] if joint == 0 else offsets[joint].numpy()
        node: dict[str, Any] = {"name": name, "translation": [float(value) for value in place]}
        if children := SMPL22.children(joint):
            node["children"] = list(children)
        nodes.append(node)
    return nodes


def _inverse_bind(rest: np.ndarray) -> np.ndarray:
    """(22, 16) matrices by columns that take the rest pose's world to each joint's frame, which is not turned there."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (22, 1, 1))
    matrices[:, 3, :3] = -rest  # the fourth column, since columns are written one after the other
    return matrices.reshape(22, 16)


def _primitive(mesh: Mesh, buffer: _Buffer) -> dict[str, Any]:
    bounds = {
        "min": mesh.positions.min(0).astype(float).tolist(),
        "max": mesh.positions.max(0).astype(float).tolist(),
    }
    joints = np.zeros((len(mesh.joints), 4), np.uint8)
    joints[:, 0] = mesh.joints
    weights = np.zeros((len(mesh.joints), 4), np.float32)
    weights[:, 0] = 1.0
    return {
        "attributes": {
            "POSITION": buffer.add(mesh.positions, "VEC3", _FLOAT, _ARRAY, bounds),
            "NORMAL": buffer.add(mesh.normals, "VEC3", _FLOAT, _ARRAY),
            "JOINTS_0": buffer.add(joints, "VEC4", _UBYTE, _ARRAY),
            "WEIGHTS_0": buffer.add(weights, "VEC4", _FLOAT, _ARRAY),
        },
        "indices": buffer.add(mesh.triangles.reshape(-1), "SCALAR", _USHORT, _INDEX),
        "material": 0,
    }


def _animation(motion: RigidMotion, fps: float, buffer: _Buffer) -> dict[str, Any]:
    """Samplers and channels: the pelvis' place, and the rotation of every joint that has one."""
    times = np.arange(len(motion.pelvis), dtype=np.float32) / np.float32(fps)
    bounds = {"min": [float(times[0])], "max": [float(times[-1])]}
    clock = buffer.add(times, "SCALAR", _FLOAT, bounds=bounds)
    samplers = [{"input": clock, "output": buffer.add(motion.pelvis.numpy(), "VEC3", _FLOAT)}]
    channels: list[dict[str, Any]] = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    for joint in range(22):
        if SMPL22.children(joint):
            samplers.append(
                {"input": clock, "output": buffer.add(_turns(motion.local[:, joint]), "VEC4", _FLOAT)}
            )
            channels.append({"sampler": len(samplers) - 1, "target": {"node": joint, "path": "rotation"}})
    return {"samplers": samplers, "channels": channels}


def _turns(matrices: Tensor) -> np.ndarray:
    """(T, 4) quaternions (x, y, z, w) of matrices (T, 3, 3), each on its neighbour's side of the sphere."""
    quaternions = matrix_to_quaternion(matrices)
    agree = (quaternions[1:] * quaternions[:-1]).sum(-1) >= 0
    signs = torch.cat((torch.ones(1), torch.where(agree, 1.0, -1.0).cumprod(0)))
    return (quaternions * signs[:, None])[:, [1, 2, 3, 0]].numpy()


@dataclass
class _Buffer:
    """The binary part as it grows, and what describes it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        values: np.ndarray,
        shape: str,
        component: int,
        target: int | None = None,
        bounds: dict[str, list[float]] | None = None,
    ) -> int:
        """Append values; returns the accessor's number."""
        packed = np.ascontiguousarray(values, _TYPES[component]).tobytes()
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(packed)}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += packed + b"\0" * (-len(packed) % 4)
        count = len(values)
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": component,
            "count": count,
            "type": shape,
        }
        self.accessors.append({**accessor, **(bounds or {})})
        return len(self.accessors) - 1


def _container(document: dict[str, Any], data: bytes) -> bytes:
    """The two chunks of a .glb, each padded to four bytes."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(data), _BIN) + data
    return struct.pack("<III", _MAGIC, 2, 12 + len(body)) + body
