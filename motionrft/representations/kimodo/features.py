"""Kimodo's features, 12 J + 9 a frame: 369 (SOMA 30), 417 (G1 34), 273 (SMPL-X 22); all in the world, metres, 30 fps.

    smooth root 3, heading 2 | positions 3 J, rotations 6 J, velocities 3 J, contacts 4
        root part, 5         |                     body part, 12 J + 4

Smooth root: x and z of a smoothed pelvis path, y the pelvis' own height. Heading: cos, sin of the yaw of the hips, 0
faces +Z. Positions: joints less the smooth x and z. Rotations: of each joint in the world, first column, then second.
Published motions come from the rotations, never from the positions. (NVIDIA 2026, arXiv 2603.15546; layout of its
code.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.moving import moved
from motionrft.representations.kimodo.skeletons import (
    FPS,
    G1,
    SMPLX22,
    SOMA30,
    KimodoSkeleton,
    picked,
    posed_joints,
)
from motionrft.representations.kimodo.smooth_root import smooth_path
from motionrft.rotations import cross, matrix_to_sixd, normalise

ROOT: Final = 5
"""Numbers of the root part."""
_STILL, _LOW = 0.15, 0.10
"""A foot is in contact when slower, m/s, and lower, m."""
_TOUCHES = 0.5


def width_of(skeleton: KimodoSkeleton) -> int:
    """Numbers a frame."""
    return 12 * skeleton.joints + 9


SKELETON_OF: Final = {width_of(skeleton): skeleton for skeleton in (SOMA30, G1, SMPLX22)}
"""By the number of features."""


def skeleton_of_features(width: int) -> KimodoSkeleton:
    """Whose features these are.

    Raises:
        UserError: no skeleton has so many.
    """
    if width not in SKELETON_OF:
        legal = ", ".join(f"{width} ({skeleton.name})" for width, skeleton in SKELETON_OF.items())
        raise UserError(f"last axis is {width}. A kimodo motion has {legal}.")
    return SKELETON_OF[width]


def rest_of(skeleton: KimodoSkeleton, rest: Tensor | None = None) -> Tensor:
    """(J, 3) rest joints: those given, else the skeleton's own.

    Raises:
        UserError: SMPL-X without any, whose licence keeps them from us.
    """
    if rest is not None:
        return rest
    if skeleton.numbers is None:
        raise UserError(
            f"a kimodo motion of {skeleton.name} needs its rest joints, which come with the body model and not with us."
        )
    return skeleton.rest_joints


def rest_like(skeleton: KimodoSkeleton, rest: Tensor | None, like: Tensor) -> Tensor:
    """`rest_of` where and as `like` is, (J, 3), without waiting for a device.

    Raises:
        UserError: as `rest_of`.
    """
    return moved(rest_of(skeleton, rest).to(like.dtype), like.device)


@dataclass(frozen=True)
class KimodoFeatures:
    """De-normalised features (..., T, 12 J + 9), block by block; every block is a view."""

    values: Tensor

    @property
    def joints(self) -> int:
        return (self.values.shape[-1] - 9) // 12

    def _block(self, start: int, end: int) -> Tensor:
        """From `start` to `end` numbers a joint, behind the root part."""
        return self.values[..., ROOT + start * self.joints : ROOT + end * self.joints]

    @property
    def smooth_root(self) -> Tensor:
        """(..., T, 3)"""
        return self.values[..., :3]

    @property
    def heading(self) -> Tensor:
        """(..., T, 2) cos, sin"""
        return self.values[..., 3:ROOT]

    @property
    def heading_angle(self) -> Tensor:
        """(..., T) radians"""
        return torch.atan2(self.heading[..., 1], self.heading[..., 0])

    @property
    def positions(self) -> Tensor:
        """(..., T, J, 3) less the smooth x and z"""
        return self._block(0, 3).unflatten(-1, (-1, 3))

    @property
    def sixd(self) -> Tensor:
        """(..., T, J, 6) first and second column of each rotation in the world"""
        return self._block(3, 9).unflatten(-1, (-1, 6))

    @property
    def rotations(self) -> Tensor:
        """(..., T, J, 3, 3) in the world, by Gram-Schmidt of the two columns; a zero column gives zeros, no NaN.

        The third column first: of two columns that are nearly parallel, their product keeps more digits than their
        difference does.
        """
        columns = self.sixd.unflatten(-1, (2, 3))
        x = normalise(columns[..., 0, :])
        z = normalise(cross(x, columns[..., 1, :]))
        return torch.stack((x, cross(z, x), z), dim=-1)

    @property
    def velocities(self) -> Tensor:
        """(..., T, J, 3) metres a second"""
        return self._block(9, 12).unflatten(-1, (-1, 3))

    @property
    def contacts(self) -> Tensor:
        """(..., T, 4) bool: left ankle and toe, right ankle and toe"""
        return self.values[..., -4:] > _TOUCHES

    @property
    def path(self) -> Tensor:
        """(..., T, 3) x and z of the smooth root, y 0: what positions are less of"""
        return on_ground(self.smooth_root)

    @property
    def root(self) -> Tensor:
        """(..., T, 3) the pelvis: its own entry of the positions, on the smooth path"""
        return self.positions[..., 0, :] + self.path

    def joints_of_positions(self) -> Tensor:
        """(..., T, J, 3) joints that the position block says; nobody exports them"""
        return self.positions + self.path[..., None, :]


def on_ground(places: Tensor) -> Tensor:
    """Places (..., 3) with y at 0."""
    x, y, z = places.unbind(-1)
    return torch.stack((x, torch.zeros_like(y), z), dim=-1)


def forward_kinematics(world: Tensor, root: Tensor, skeleton: KimodoSkeleton, rest: Tensor) -> Tensor:
    """Joints (..., J, 3) of rotations in the world (..., J, 3, 3), pelvis at `root` (..., 3); one product for all bones.

    Args:
        rest: (J, 3) rest joints; only their differences count.
    """
    rest, parents = rest.to(world), skeleton.parents[1:]
    bones = rest[1:] - picked(rest, parents, -2)  # (J - 1, 3)
    turned = (picked(world, parents, -3) @ bones[..., None]).squeeze(-1)  # (..., J - 1, 3)
    places = [root]
    for parent, bone in zip(parents, turned.unbind(-2), strict=True):
        places.append(places[parent] + bone)
    return torch.stack(places, dim=-2)  # (..., J, 3)


def local_rotations(world: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Rotations (..., J, 3, 3) relative to each joint's parent, of those in the world."""
    above = picked(world, parents[1:], -3)  # (..., J - 1, 3, 3)
    return torch.cat((world[..., :1, :, :], above.transpose(-1, -2) @ world[..., 1:, :, :]), dim=-3)


def encode(local: Tensor, root: Tensor, skeleton: KimodoSkeleton, rest: Tensor | None = None) -> Tensor:
    """Features (T, 12 J + 9) of one motion: local rotations (T, J, 3, 3), pelvis (T, 3).

    Raises:
        UserError: fewer than 5 frames, which no path can be smoothed over.
    """
    return assembled(local, root, smooth_path(root), skeleton, rest)


def assembled(
    local: Tensor, root: Tensor, smooth: Tensor, skeleton: KimodoSkeleton, rest: Tensor | None = None
) -> Tensor:
    """`encode` with the smooth root (T, 3) given."""
    posed, world = posed_joints(local, root, rest_of(skeleton, rest), skeleton.parents)
    path = on_ground(smooth)
    velocities = (posed[1:] - posed[:-1]) * FPS
    velocities = torch.cat((velocities, velocities[-1:]))  # (T, J, 3)
    blocks = (
        torch.cat((smooth[:, :1], root[:, 1:2], smooth[:, 2:]), dim=-1),
        heading_of(posed, skeleton),
        (posed - path[:, None]).flatten(1),
        matrix_to_sixd(world, "columns").flatten(1),
        velocities.flatten(1),
        contacts_of(posed, velocities, skeleton),
    )
    return torch.cat(blocks, dim=-1)


def contacts_of(posed: Tensor, velocities: Tensor, skeleton: KimodoSkeleton) -> Tensor:
    """(..., 4) 1 where a foot's joint of (..., J, 3) is low and slow, else 0."""
    slow = picked(velocities, skeleton.feet, -2).norm(dim=-1) < _STILL
    touching = slow & (picked(posed[..., 1], skeleton.feet, -1) < _LOW)
    return touching.to(posed)


def heading_of(posed: Tensor, skeleton: KimodoSkeleton) -> Tensor:
    """(..., 2) cos, sin of where the hips of joints (..., J, 3) face."""
    right, left = skeleton.hips
    across = posed[..., right, :] - posed[..., left, :]
    angle = torch.atan2(across[..., 2], -across[..., 0])
    return torch.stack((angle.cos(), angle.sin()), dim=-1)


def turn(values: Tensor, angle: Tensor) -> Tensor:
    """Features (..., T, 12 J + 9) with the world turned by `angle` (...) radians about Y, right-handed."""
    features, angle = KimodoFeatures(values), angle.to(values)[..., None]
    cos, sin, no = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [torch.stack(row, dim=-1) for row in ((cos, no, sin), (no, no + 1, no), (-sin, no, cos))]
    matrix = torch.stack(rows, dim=-2)  # (..., 1, 3, 3)
    c, s = features.heading.unbind(-1)
    heading = torch.stack((cos * c - sin * s, sin * c + cos * s), dim=-1)
    vectors = values[..., ROOT:-4].unflatten(-1, (-1, 3)) @ matrix.transpose(-1, -2)
    root = (features.smooth_root[..., None, :] @ matrix.transpose(-1, -2)).squeeze(-2)
    return torch.cat((root, heading, vectors.flatten(-2), values[..., -4:]), dim=-1)


def canonical(values: Tensor) -> Tensor:
    """Features (..., T, 12 J + 9) moved and turned so that the first frame's smooth root is at x = z = 0 and faces +Z."""
    features = KimodoFeatures(values)
    at_origin = values.clone()
    at_origin[..., :3] = features.smooth_root - features.path[..., :1, :]
    return turn(at_origin, -features.heading_angle[..., 0])
