"""A body of sticks for a rest pose: one faceted spindle a bone, a head, and tips for hands and toes."""

from dataclasses import dataclass

import numpy as np

from motionrft.skeleton import SMPL22

_TIPS = {
    15: (0.0, 0.2, 0.02),
    10: (0.0, -0.01, 0.08),
    11: (0.0, -0.01, 0.08),
    20: (0.16, 0.0, 0.0),
    21: (-0.16, 0.0, 0.0),
}
"""Where head, toes and hands end, metres from their joint."""
_THICK = {
    0: 0.07,
    3: 0.07,
    6: 0.075,
    9: 0.06,
    1: 0.06,
    2: 0.06,
    4: 0.045,
    5: 0.045,
    7: 0.03,
    8: 0.03,
    15: 0.09,
}
"""Radius of the sticks that leave a joint, metres."""
_SIDES = 6
_BULGE = 0.3
"""Where along a stick it is thickest."""


@dataclass(frozen=True)
class Mesh:
    """A skinned mesh, each vertex on one joint. positions, normals: (V, 3) float32. joints: (V,). triangles: (F, 3)."""

    positions: np.ndarray
    normals: np.ndarray
    joints: np.ndarray
    triangles: np.ndarray


def stick_body(rest: np.ndarray) -> Mesh:
    """The body of a rest pose (22, 3), metres."""
    size = float(np.ptp(rest[:, 1])) / 1.6
    corners, owners = [], []
    for joint in range(22):
        ends = [rest[child] for child in SMPL22.children(joint)]
        ends += [rest[joint] + size * np.array(_TIPS[joint])] if joint in _TIPS else []
        for end in ends:
            faces = _spindle(rest[joint], end, size * _THICK.get(joint, 0.035))  # (F, 3, 3)
            corners.append(faces)
            owners.append(np.full(3 * len(faces), joint))
    triangles = np.concatenate(corners)  # (F, 3, 3)
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    across /= np.linalg.norm(across, axis=-1, keepdims=True).clip(1e-12)
    return Mesh(
        triangles.reshape(-1, 3).astype(np.float32),
        np.repeat(across, 3, axis=0).astype(np.float32),
        np.concatenate(owners),
        np.arange(3 * len(triangles), dtype=np.uint16).reshape(-1, 3),
    )


def _spindle(start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """(F, 3, 3) triangles of two cones on one ring, seen from outside counter-clockwise."""
    along = end - start
    length = float(np.linalg.norm(along))
    if length < 1e-6:  # joints that coincide have no stick
        return np.zeros((0, 3, 3))
    along = along / length
    side = np.cross(along, [0.0, 0.0, 1.0] if abs(along[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    other = np.cross(along, side)
    angles = 2 * np.pi * np.arange(_SIDES) / _SIDES
    around = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * other
    ring = start + _BULGE * length * along + min(radius, 0.8 * length) * around  # (S, 3)
    after = np.roll(ring, -1, axis=0)
    below = np.stack((np.broadcast_to(start, ring.shape), after, ring), axis=1)
    above = np.stack((np.broadcast_to(end, ring.shape), ring, after), axis=1)
    return np.concatenate((below, above))
