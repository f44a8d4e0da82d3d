"""A rigid skeleton for joints that may have none: what BVH, GLB and other skeletal formats are written from.

Bones of generated joints, or of features, change their length from frame to frame. Position channels on every joint
would keep that, and most programs read them differently or not at all; so bones are made constant, the ones that fit
the clip best, and what that costs is measured.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.representations.rotation import (
    assemble_rest,
    fit_rest_joints,
    joints_to_rotation,
    rotation_matrices,
)
from motionrft.rotations import best_rotation, normalise, quaternion_to_matrix, shortest_arc
from motionrft.skeleton import SMPL22

ROUNDS = 2
"""Alternations between poses and bones; the error has settled then."""
FEET = (7, 8, 10, 11)
FOOT_WEIGHT = 6.0
"""How much more than others ankles and toes decide where the body stands: a floating hand is not seen, a foot is."""
_SEVERAL = (0, 9)
"""Pelvis and chest: three bones leave them, in directions of the body's own."""


@dataclass(frozen=True)
class RigidMotion:
    """A motion of constant bones.

    rest: (22, 3) T-pose with the clip's bones, pelvis at the origin, metres.
    local: (T, 22, 3, 3) rotation of each joint against its parent; the pelvis' in the world.
    pelvis: (T, 3) its place.
    errors: (T, 22) metres between these joints and the given ones.
    """

    rest: Tensor
    local: Tensor
    pelvis: Tensor
    errors: Tensor

    @property
    def offsets(self) -> Tensor:
        """(22, 3) each joint from its parent in the rest pose; zero for the pelvis."""
        return self.rest - self.rest[[0, *SMPL22.parents[1:]]]

    def joints(self) -> Tensor:
        """(T, 22, 3) where they are."""
        places, _ = _walk(self.offsets, self.local, self.pelvis)
        return places

    def world(self) -> Tensor:
        """(T, 22, 3, 3) how each joint is turned in the world."""
        _, turned = _walk(self.offsets, self.local, self.pelvis)
        return turned

    @property
    def mean_mm(self) -> float:
        """Millimetres by which joints are off, over all frames."""
        return 1000 * float(self.errors.mean())

    @property
    def worst_mm(self) -> float:
        """Millimetres by which the worst joint of the worst frame is off."""
        return 1000 * float(self.errors.max())


def fit_rigid(joints: Tensor) -> RigidMotion:
    """Constant bones, and poses of them, that come nearest to joints (T, 22, 3), metres, Y up.

    A rigid motion comes back within rounding. Otherwise poses and bones are fitted in turns, the feet weighted: each
    joint is aimed at its child's place from where it is, so that only the difference in length remains.
    """
    joints = joints.double()
    rest = fit_rest_joints(joints[None])[0]
    rest = rest - rest[0]
    local = rotation_matrices(joints_to_rotation(joints[None], rest))[0]
    fitted = _measured(rest, local, joints[:, 0], joints)
    for _ in range(ROUNDS):
        if float(fitted.errors.max()) < 1e-7:
            break
        fitted = _round(fitted, joints)
    return fitted


def _round(fitted: RigidMotion, joints: Tensor) -> RigidMotion:
    """Better bones for the poses, then better poses for the bones."""
    places, world = _walk(fitted.offsets, fitted.local, fitted.pelvis)
    bones = _better_bones(places, world, fitted.offsets, joints)
    rest = assemble_rest(torch.zeros_like(fitted.rest[0]), bones)
    offsets = torch.cat((torch.zeros_like(bones[:1]), bones))
    pelvis = fitted.pelvis
    for _ in range(2):
        local = _aimed(offsets, pelvis, joints)
        places, _ = _walk(offsets, local, pelvis)
        weights = torch.ones(22, dtype=joints.dtype)
        weights[list(FEET)] = FOOT_WEIGHT
        pelvis = pelvis + ((joints - places) * weights[:, None]).sum(1) / weights.sum()
    return _measured(rest, local, pelvis, joints)


def _measured(rest: Tensor, local: Tensor, pelvis: Tensor, joints: Tensor) -> RigidMotion:
    offsets = rest - rest[[0, *SMPL22.parents[1:]]]
    places, _ = _walk(offsets, local, pelvis)
    return RigidMotion(rest, local, pelvis, (places - joints).norm(dim=-1))


def _better_bones(places: Tensor, world: Tensor, offsets: Tensor, joints: Tensor) -> Tensor:
    """(21, 3) bones by least squares over all frames: lengths, and for pelvis and chest directions as well."""
    bones = []
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        wanted = joints[:, joint] - places[:, parent]  # (T, 3)
        if parent in _SEVERAL:
            bones.append((world[:, parent].transpose(-1, -2) @ wanted[..., None]).squeeze(-1).mean(0))
        else:
            bones.append(normalise(offsets[joint]) * wanted.norm(dim=-1).mean())
    return torch.stack(bones)


def _aimed(offsets: Tensor, pelvis: Tensor, joints: Tensor) -> Tensor:
    """(T, 22, 3, 3) local rotations that turn each bone, from where it begins, towards where its end should be."""
    world: list[Tensor] = []
    places: list[Tensor] = []
    local = []
    still = torch.eye(3, dtype=joints.dtype).expand(len(joints), 3, 3)
    for joint in range(22):
        parent = SMPL22.parents[joint]
        before = still if parent < 0 else world[parent]
        place = pelvis if parent < 0 else places[parent] + (before @ offsets[joint][:, None]).squeeze(-1)
        places.append(place)
        turn = _turn(joint, before, place, offsets, joints)
        local.append(turn)
        world.append(before @ turn)
    return torch.stack(local, dim=1)


def _turn(joint: int, before: Tensor, place: Tensor, offsets: Tensor, joints: Tensor) -> Tensor:
    """(T, 3, 3) the rotation at one joint; ends of limbs have none of their own."""
    children = list(SMPL22.children(joint))
    if not children:
        return torch.eye(3, dtype=joints.dtype).expand(len(joints), 3, 3)
    wanted = joints[:, children] - place[:, None]  # (T, C, 3)
    seen = (before.transpose(-1, -2)[:, None] @ wanted[..., None]).squeeze(-1)
    rest = offsets[children].expand_as(seen)
    if len(children) > 1:
        return best_rotation(rest, seen)
    return quaternion_to_matrix(shortest_arc(normalise(rest[:, 0]), normalise(seen[:, 0])))


def _walk(offsets: Tensor, local: Tensor, pelvis: Tensor) -> tuple[Tensor, Tensor]:
    """Places (T, 22, 3) and world rotations (T, 22, 3, 3) of a posed skeleton."""
    world, places = [local[:, 0]], [pelvis]
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        places.append(places[parent] + (world[parent] @ offsets[joint][:, None]).squeeze(-1))
        world.append(world[parent] @ local[:, joint])
    return torch.stack(places, dim=1), torch.stack(world, dim=1)
