"""Joints to 263 features in plain numpy, one clip at a time, chain by chain: the baseline of the benchmark.

Written from the description of the features, the way the published processing goes about it: quaternions, inverse
kinematics along each chain, forward kinematics on the target skeleton, then the features.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from motionrft.skeleton import SMPL22

Array = np.ndarray
_REST = SMPL22.rest_directions.numpy()
_TARGET = SMPL22.target_offsets.numpy()


def _unit(v: Array) -> Array:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def _multiply(p: Array, q: Array) -> Array:
    pw, px, py, pz = np.moveaxis(p, -1, 0)
    qw, qx, qy, qz = np.moveaxis(q, -1, 0)
    return np.stack(
        (
            pw * qw - px * qx - py * qy - pz * qz,
            pw * qx + px * qw + py * qz - pz * qy,
            pw * qy - px * qz + py * qw + pz * qx,
            pw * qz + px * qy - py * qx + pz * qw,
        ),
        axis=-1,
    )


def _inverse(q: Array) -> Array:
    return q * np.array([1.0, -1.0, -1.0, -1.0], dtype=q.dtype)


def _rotate(q: Array, v: Array) -> Array:
    t = 2 * np.cross(q[..., 1:], v)
    return v + q[..., :1] * t + np.cross(q[..., 1:], t)


def _between(u: Array, v: Array) -> Array:
    w = np.sqrt((u**2).sum(-1) * (v**2).sum(-1)) + (u * v).sum(-1)
    return _unit(np.concatenate((w[..., None], np.cross(u, v)), axis=-1))


def _heading(across: Array) -> Array:
    forward = np.cross(np.array([0.0, 1.0, 0.0], dtype=across.dtype), _unit(across))
    return _between(
        _unit(forward), np.broadcast_to(np.array([0.0, 0.0, 1.0], dtype=across.dtype), forward.shape)
    )


def _inverse_kinematics(joints: Array, smooth: bool) -> Array:
    a, b, c, d = SMPL22.facing
    across = _unit(joints[:, b] - joints[:, a] + joints[:, c] - joints[:, d])
    forward = np.cross(np.array([0.0, 1.0, 0.0], dtype=joints.dtype), across)
    if smooth:
        forward = gaussian_filter1d(forward, 20, axis=0, mode="nearest")
    forward = _unit(forward)
    target = np.broadcast_to(np.array([0.0, 0.0, 1.0], dtype=joints.dtype), forward.shape)
    root = _between(forward, target)
    root[0] = [1, 0, 0, 0]
    rotations = np.zeros((*joints.shape[:2], 4), dtype=joints.dtype)
    rotations[:, 0] = root
    for chain in SMPL22.chains:
        before = root
        for parent, joint in pairwise(chain):
            rest = np.broadcast_to(_REST[joint].astype(joints.dtype), (len(joints), 3))
            world = _between(rest, _unit(joints[:, joint] - joints[:, parent]))
            local = _multiply(_inverse(before), world)
            rotations[:, joint] = local
            before = _multiply(before, local)
    return rotations


def _forward_kinematics(rotations: Array, root: Array) -> Array:
    joints = np.zeros((*rotations.shape[:2], 3), dtype=rotations.dtype)
    joints[:, 0] = root
    for chain in SMPL22.chains:
        world = rotations[:, 0]
        for parent, joint in pairwise(chain):
            world = _multiply(world, rotations[:, joint])
            offset = np.broadcast_to(_TARGET[joint].astype(rotations.dtype), root.shape)
            joints[:, joint] = joints[:, parent] + _rotate(world, offset)
    return joints


def _normalise(joints: Array) -> Array:
    l1, l2 = SMPL22.legs
    bones = np.linalg.norm(joints[0, 1:] - joints[0, list(SMPL22.parents[1:])], axis=-1)
    target = np.abs(_TARGET).max(-1)
    scale = (target[l1] + target[l2]) / (bones[l1 - 1] + bones[l2 - 1])
    joints = _forward_kinematics(
        _inverse_kinematics(joints, smooth=False), joints[:, 0] * joints.dtype.type(scale)
    )
    joints[..., 1] -= joints[..., 1].min()
    joints -= joints[0, 0] * np.array([1, 0, 1], dtype=joints.dtype)
    a, b, c, d = SMPL22.facing
    turn = _heading(joints[0, a] - joints[0, b] + joints[0, c] - joints[0, d])
    return _rotate(np.broadcast_to(turn, (*joints.shape[:2], 4)), joints)


def _sixd(q: Array) -> Array:
    w, x, y, z = np.moveaxis(q, -1, 0)
    first = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    second = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    return np.stack((*first, *second), axis=-1)


def joints_to_kinematic(joints: Array) -> Array:
    """(T, 22, 3) -> (T - 1, 263)."""
    joints = _normalise(joints)
    rotations = _inverse_kinematics(joints, smooth=True)
    heading = rotations[:, 0]
    wide = np.repeat(heading[:, None], 22, axis=1)
    yaw = np.arcsin(_multiply(heading[1:], _inverse(heading[:-1]))[:, 2:3])
    planar = _rotate(heading[1:], joints[1:, 0] - joints[:-1, 0])[:, [0, 2]]
    local = joints.copy()
    local[..., 0] -= joints[:, :1, 0]
    local[..., 2] -= joints[:, :1, 2]
    local = _rotate(wide, local)
    step = joints[1:] - joints[:-1]
    velocity = _rotate(wide[:-1], step)
    feet = step[:, list(SMPL22.feet)]
    contacts = ((feet**2).sum(-1) < SMPL22.contact_threshold).astype(joints.dtype)
    frames = len(joints) - 1
    parts = (
        yaw,
        planar,
        local[:-1, 0, 1:2],
        local[:-1, 1:].reshape(frames, -1),
        _sixd(rotations[:-1, 1:]).reshape(frames, -1),
        velocity.reshape(frames, -1),
        contacts,
    )
    return np.concatenate(parts, axis=-1)


def kinematic_to_joints(features: Array) -> Array:
    """(T, 263) -> (T, 22, 3)."""
    angle = np.concatenate(([0.0], np.cumsum(features[:-1, 0])))
    zero = np.zeros_like(angle)
    back = _inverse(np.stack((np.cos(angle), zero, np.sin(angle), zero), axis=-1).astype(features.dtype))
    step = np.zeros((len(features), 3), dtype=features.dtype)
    step[1:, [0, 2]] = features[:-1, 1:3]
    root = np.cumsum(_rotate(back, step), axis=0)
    root[:, 1] = features[:, 3]
    local = features[:, 4:67].reshape(len(features), 21, 3)
    joints = _rotate(np.repeat(back[:, None], 21, axis=1), local)
    joints[..., [0, 2]] += root[:, None, [0, 2]]
    return np.concatenate((root[:, None], joints), axis=1)
