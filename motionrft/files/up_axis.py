"""Which axis is up, seen from the body: people stand most of the time, so the trunk tells.

Over real upright clips the mean way from pelvis to neck lies within 13 degrees of up. A body that lies looks like one
that stands in other axes: the floor tells the two apart, for feet stand on 0 along the true up axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

AXES = MappingProxyType(
    {
        "y": (0.0, 1.0, 0.0),
        "z": (0.0, 0.0, 1.0),
        "x": (1.0, 0.0, 0.0),
        "-y": (0.0, -1.0, 0.0),
        "-z": (0.0, 0.0, -1.0),
        "-x": (-1.0, 0.0, 0.0),
    }
)
"""Axes that can be up, the usual ones first."""
_TURNS = MappingProxyType(
    {
        "y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
        "x": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
        "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
        "-z": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
        "-x": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    }
)
"""The shortest turn that brings each axis to +Y; rows of matrices that act on columns. Right stays right."""

_UPRIGHT = float(np.cos(np.deg2rad(40)))
_HORIZONTAL = float(np.sin(np.deg2rad(30)))
"""A trunk nearer than 30 degrees to the ground is near horizontal."""
_MOST = 0.5
_FEET = (7, 8, 10, 11)
_PELVIS, _NECK = 0, 12


@dataclass(frozen=True)
class Up:
    """axis: the one that is up. sure: whether the body told, or it is only the usual one."""

    axis: str
    sure: bool


def up_turn(axis: str) -> np.ndarray:
    """(3, 3) the turn that brings `axis` to +Y."""
    return np.array(_TURNS[axis], dtype=np.float64)


def detect_up(joints: np.ndarray, usual: str = "y") -> Up:
    """The axis along which the body of (T, 22, 3) stands, in any unit.

    Args:
        usual: the axis that files of this kind have up; taken where the body does not tell.
    """
    trunk = _trunk(joints)
    upright = {axis: float(np.mean(trunk @ np.array(way) > _UPRIGHT)) for axis, way in AXES.items()}
    best = max(upright, key=lambda axis: upright[axis])
    if upright[best] < _MOST or upright[usual] >= _MOST:
        return Up(usual, upright[usual] > 0)
    if upright[usual] > 0.2 and not _stands(joints, best):
        return Up(usual, True)
    if _lies(joints, usual) and not _stands(joints, best):
        return Up(usual, False)
    return Up(best, True)


def lying_share(joints: np.ndarray) -> float:
    """The share of frames in which the trunk of (T, 22, 3), Y up, is near horizontal."""
    return float(np.mean(np.abs(_trunk(joints)[:, 1]) < _HORIZONTAL))


def _trunk(joints: np.ndarray) -> np.ndarray:
    """(T, 3) unit vectors from pelvis to neck."""
    way = joints[:, _NECK] - joints[:, _PELVIS]
    return way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-12)


def _stands(joints: np.ndarray, axis: str) -> bool:
    """Whether the feet are on the zero of this axis, within a tenth of the body."""
    heights = joints[:, list(_FEET)] @ np.array(AXES[axis])
    return bool(abs(np.percentile(heights.min(axis=1), 10)) < 0.1 * _size(joints))


def _lies(joints: np.ndarray, up: str) -> bool:
    """Whether the body rests on the zero of this axis, flat: no joint far below, none above half its size."""
    heights = joints @ np.array(AXES[up]) / _size(joints)
    low, high = np.percentile(heights.min(axis=1), 10), np.percentile(heights.max(axis=1), 90)
    return bool(-0.04 < low < 0.1 and high < 0.5 and np.median(heights[:, _PELVIS]) > 0.02)


def _size(joints: np.ndarray) -> float:
    """Median extent of the body from its head to its feet, in the file's unit."""
    ankles = joints[:, [7, 8]].mean(axis=1)
    return max(float(np.median(np.linalg.norm(joints[:, 15] - ankles, axis=-1))), 1e-9)
