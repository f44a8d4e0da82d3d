"""Playing our 22 joints on the Unitree G1: hinge angles whose limbs point as the person's do, within the hinges' ranges.

Directions are fitted, not places: the robot is 1.3 m tall, its arms and legs have other proportions. The pelvis turns as
the person's does; its path is scaled to the robot's legs and lifted to the height on which the person stood.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motionrft.representations.floor import leg_length, standing_height
from motionrft.representations.kimodo.g1 import HINGES, joints_of_qpos
from motionrft.representations.kimodo.skeletons import joints22, numbers
from motionrft.rotations import matrix_to_quaternion, normalise

STEPS, RATE = 120, 0.1
"""Of Adam; the directions have settled within a degree or what the hinges allow."""
_BONES = (
    *((1, 4), (4, 7), (7, 10), (2, 5), (5, 8), (8, 11)),  # legs and feet
    *((16, 18), (18, 20), (17, 19), (19, 21)),  # arms
    *((0, 12), (17, 16)),  # the trunk, and the line of the shoulders
)
_WEIGHTS = (3.0, 3.0, 1.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0)
_QUIET, _SMOOTH = 1e-3, 0.2
"""Weights of angles that nothing asks for, and of their changes from frame to frame."""
_TO_MUJOCO = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
"""From Y up, facing +Z, to x forward, z up."""


def fit_qpos(joints: Tensor, pelvis_turn: Tensor) -> Tensor:
    """Rows (T, 36) for MuJoCo of joints (T, 22, 3), metres, Y up, and the pelvis' rotation (T, 3, 3) against a T-pose."""
    joints = joints.double()
    wanted = _directions(joints)  # (T, bones, 3)
    turn = _TO_MUJOCO
    root = matrix_to_quaternion(turn @ pelvis_turn.double() @ turn.T)  # (T, 4)
    limits = numbers("g1.limits")
    angles = _fitted(wanted, root, limits)
    still = torch.zeros(1, 36, dtype=torch.float64)
    still[:, 3] = 1
    path = joints[:, 0] * (leg_length(_joints(still)[None]) / leg_length(joints[None]))
    rows = torch.cat((path @ turn.T, root, angles), dim=-1)
    lift = standing_height(joints[None]) - standing_height(_joints(rows)[None])
    return rows + torch.nn.functional.pad(lift[:, None], (2, 33))


def _fitted(wanted: Tensor, root: Tensor, limits: Tensor) -> Tensor:
    """(T, 29) angles in their ranges (29, 2), by gradient descent from standing still."""
    weights = torch.tensor(_WEIGHTS, dtype=torch.float64)
    place = torch.zeros(len(root), 3, dtype=torch.float64)
    angles = torch.zeros(len(root), len(HINGES), dtype=torch.float64).clamp(limits[:, 0], limits[:, 1])
    angles.requires_grad_()
    optimiser = torch.optim.Adam([angles], lr=RATE)
    with torch.enable_grad():
        for step in range(STEPS):
            optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
            found = _directions(_joints(torch.cat((place, root, angles), dim=-1)))
            off = ((found - wanted).square().sum(-1) * weights).sum()
            changes = angles.diff(dim=0).square().sum()
            loss = off + _QUIET * angles.square().sum() + _SMOOTH * changes
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                angles.clamp_(limits[:, 0], limits[:, 1])
    return angles.detach()


def _joints(rows: Tensor) -> Tensor:
    """(T, 22, 3) our joints of rows (T, 36)."""
    return joints22(*joints_of_qpos(rows))


def _directions(joints: Tensor) -> Tensor:
    """(T, bones, 3) where the fitted bones of joints (T, 22, 3) point."""
    start, end = zip(*_BONES, strict=True)
    return normalise(joints[:, list(end)] - joints[:, list(start)])
