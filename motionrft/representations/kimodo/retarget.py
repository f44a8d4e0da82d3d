"""Playing our 22 joints on SOMA, by names and directions: what `--to kimodo` writes.

Rest poses of both skeletons are T-poses whose joints are not turned, so a joint's rotation in the world is the same
rotation on the other; a limb is then turned by the shortest arc onto its own direction, since the two rest poses differ
by a few degrees. The root's path is scaled to SOMA's legs, and it stands on the height on which the body stood.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motionrft.representations.floor import leg_length, standing_height
from motionrft.representations.kimodo.skeletons import (
    SOMA30,
    joints22,
    posed_joints,
    soma30_to_77,
    soma_names,
)
from motionrft.rotations import normalise, quaternion_to_matrix, shortest_arc
from motionrft.skeleton import SMPL22


def soma_pose(joints: Tensor, world: Tensor) -> tuple[Tensor, Tensor]:
    """`soma30_pose` with SOMA's 77 joints: local rotations (T, 77, 3, 3) and the root's place (T, 3)."""
    local, root = soma30_pose(joints, world)
    return soma30_to_77(local), root


def soma30_pose(joints: Tensor, world: Tensor) -> tuple[Tensor, Tensor]:
    """Local rotations (T, 30, 3, 3) and the root's place (T, 3) on SOMA.

    Args:
        joints: (T, 22, 3), metres, Y up. world: (T, 22, 3, 3) rotation of each in the world, against a T-pose.
    """
    names = soma_names()
    ours = {name: joint for joint, name in enumerate(names)}
    turned: list[Tensor] = []
    for joint, name in enumerate(SOMA30.names):
        parent = SOMA30.parents[joint]
        if name in ours:
            turned.append(_aimed(ours[name], names, joints, world))
        else:  # eyes, jaw and finger tips keep to the head and the hand, the upper neck to the lower one
            turned.append(turned[parent])
    at = torch.stack(turned, dim=1)  # (T, 30, 3, 3)
    parents = torch.tensor(SOMA30.parents[1:])
    local = torch.cat((at[:, :1], at[:, parents].transpose(-1, -2) @ at[:, 1:]), dim=1)
    return local, _root(local, joints)


def _aimed(joint: int, names: tuple[str, ...], joints: Tensor, world: Tensor) -> Tensor:
    """(T, 3, 3) our joint's rotation in the world, turned so that SOMA's bone points as ours does."""
    children = SMPL22.children(joint)
    if len(children) != 1:
        return world[:, joint]
    place = SOMA30.names.index
    rest = SOMA30.rest_joints.to(joints)
    bone = rest[place(names[children[0]])] - rest[place(names[joint])]
    has = normalise((world[:, joint] @ bone[:, None]).squeeze(-1))
    wanted = normalise(joints[:, children[0]] - joints[:, joint])
    return quaternion_to_matrix(shortest_arc(has, wanted)) @ world[:, joint]


def _root(local: Tensor, joints: Tensor) -> Tensor:
    """(T, 3) the pelvis' path, scaled to SOMA's legs and lifted to the height on which the body stood."""
    still = joints22(SOMA30.rest_joints.to(joints))[None, None]  # (1, 1, 22, 3)
    path = joints[:, 0] * (leg_length(still) / leg_length(joints[None]))
    posed, _ = posed_joints(local, path, SOMA30.rest_joints, SOMA30.parents)
    lift = standing_height(joints[None]) - standing_height(joints22(posed)[None])
    return path + torch.tensor([0.0, 1.0, 0.0]).to(path) * lift
