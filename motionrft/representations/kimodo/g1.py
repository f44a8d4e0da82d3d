"""The Unitree G1 in MuJoCo's numbers: 36 a frame, and back to joints.

Root x, y, z (metres, x forward, z up), root quaternion w, x, y, z, then 29 hinge angles in radians: left leg 6, right leg
6, waist 3, left arm 7, right arm 7. A hinge's angle is about its axis in the robot's own rest frame, not in Kimodo's, so
that q is not 0 in Kimodo's rest pose (knees -0.175, shoulder rolls 0.279 and -0.279).
"""

from __future__ import annotations

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.kimodo.skeletons import G1, numbers, posed_joints
from motionrft.rotations import matrix_to_quaternion, quaternion_to_matrix

WIDTH = 36
HINGES = tuple(
    joint for joint, name in enumerate(G1.names) if joint and not name.endswith(("toe_base", "hand_roll"))
)
"""The 29 joints that turn, in the order of the angles."""
_AXIS = {"pitch": 0, "knee": 0, "elbow": 0, "roll": 2, "yaw": 1}
HINGE_AXES = tuple(_AXIS[G1.names[joint].split("_")[-1]] for joint in HINGES)
"""The axis about which each turns, in Kimodo's world: 0 is x (left), 1 y (up), 2 z (forward)."""
_NOWHERE = 1e-10
_TO_OURS = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=torch.float64)
"""From MuJoCo's axes (x forward, z up) to ours."""


def joints_of_qpos(qpos: Tensor) -> tuple[Tensor, Tensor]:
    """Joints (T, 34, 3) and global rotations (T, 34, 3, 3), Y up, of rows (T, 36).

    Raises:
        UserError: another width, or a quaternion of no length.
    """
    local, root = pose_of_qpos(qpos)
    return posed_joints(local, root, G1.rest_joints, G1.parents)


def pose_of_qpos(qpos: Tensor) -> tuple[Tensor, Tensor]:
    """Local rotations (T, 34, 3, 3) and the root's place (T, 3), Y up, of rows (T, 36)."""
    if qpos.shape[-1] != WIDTH:
        raise UserError(
            f"{qpos.shape[-1]} values a frame; the G1 has {WIDTH}: root 3, quaternion 4, hinges 29."
        )
    quaternion = qpos[..., 3:7]
    length = quaternion.norm(dim=-1, keepdim=True)
    if bool((length < 1e-3).any()):
        raise UserError("a root quaternion of no length.")
    turn = _TO_OURS.to(qpos)
    local = torch.eye(3).to(qpos).expand(*qpos.shape[:-1], G1.joints, 3, 3).clone()
    local[..., 0, :, :] = turn @ quaternion_to_matrix(quaternion / length) @ turn.T
    offsets = numbers("g1.hinge_offsets", qpos)
    for place, (joint, axis) in enumerate(zip(HINGES, HINGE_AXES, strict=True)):
        local[..., joint, :, :] = _about(axis, qpos[..., 7 + place]) @ offsets[joint].T
    return local, qpos[..., :3] @ turn.T


def hinge_angles(local: Tensor) -> tuple[Tensor, Tensor]:
    """What the 29 hinges can make of local rotations (..., 34, 3, 3), differentiable.

    Returns:
        Angles (..., 29), radians, as rows for MuJoCo have them: the turn about each hinge's axis that is nearest to the
        joint's rotation. And 1 - cos of what is left of it, (..., 29), 0 where the hinge can make it.
    """
    offsets = numbers("g1.hinge_offsets", local)
    angles, left = [], []
    for joint, axis in zip(HINGES, HINGE_AXES, strict=True):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turned = local[..., joint, :, :] @ offsets[joint]
        sine = turned[..., second, first] - turned[..., first, second]
        cosine = turned[..., first, first] + turned[..., second, second]
        squared = sine.square() + cosine.square()
        lost = (
            squared < _NOWHERE
        )  # turned over, or no rotation at all: no angle is nearest, and none has a gradient
        angles.append(torch.atan2(torch.where(lost, 0.0, sine), torch.where(lost, 1.0, cosine)))
        length = torch.where(lost, 0.0, squared.clamp(min=_NOWHERE).sqrt())
        left.append((3 - turned[..., axis, axis] - length) / 2)
    return torch.stack(angles, dim=-1), torch.stack(left, dim=-1)


def published_angles(local: Tensor) -> Tensor:
    """(..., 29) radians that Kimodo's own export gives for local rotations (..., 34, 3, 3), no angle clamped.

    The three angles that a rotation has about x, y and z, each as if it were its only one, along the hinge's axis in the
    tilted frame. For most hinges that is the angle of any rotation that they can make; hip rolls and shoulder pitches,
    whose frames are tilted across their axes, are off by .003 at .7 rad, and by .14 (rolls) or .02 (pitches) at 1.5.
    """
    offsets = numbers("g1.hinge_offsets", local)
    angles = []
    for joint, axis in zip(HINGES, HINGE_AXES, strict=True):
        turned = offsets[joint] @ local[..., joint, :, :]
        each = [
            torch.atan2(turned[..., second, first], turned[..., second, second])
            for second, first in ((2, 1), (0, 2), (1, 0))
        ]
        angles.append(torch.stack(each, dim=-1) @ offsets[joint][:, axis])
    return torch.stack(angles, dim=-1)


def qpos_of_pose(local: Tensor, root: Tensor) -> Tensor:
    """Rows (T, 36) of local rotations (T, 34, 3, 3) and the root's place (T, 3), Y up, as Kimodo's own export has them.

    What no hinge can make of a joint's rotation is dropped; see `published_angles`.
    """
    turn = _TO_OURS.to(local)
    quaternion = matrix_to_quaternion(turn.T @ local[..., 0, :, :] @ turn)
    return torch.cat((root @ turn, quaternion, published_angles(local)), dim=-1)


def _about(axis: int, angle: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) about a coordinate axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype)
    matrix[..., axis, axis] = 1
    matrix[..., first, first] = matrix[..., second, second] = angle.cos()
    matrix[..., second, first] = angle.sin()
    matrix[..., first, second] = -angle.sin()
    return matrix
