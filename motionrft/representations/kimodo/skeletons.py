"""The skeletons of Kimodo's motions, and which of their joints are our 22.

Rest pose: identity rotations, pelvis at the origin, facing +Z, left at +X, metres. Rotations in Kimodo's files are
relative to world-aligned rest frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from motionrft.moving import moved
from motionrft.skeleton import SMPL22

FPS = 30.0
"""Frame rate of all Kimodo files; none of them says it."""
_NUMBERS = Path(__file__).with_name("skeletons.safetensors")
_FINGERS = ("Index", "Middle", "Ring", "Pinky")


@dataclass(frozen=True)
class KimodoSkeleton:
    """names, parents: J joints, parents before children. hips: right and left, which give the heading.

    feet: left ankle and toe, right ankle and toe. numbers: where the rest pose stands in the data file, or None where
    its licence keeps it from us (SMPL-X).
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    hips: tuple[int, int]
    feet: tuple[int, int, int, int]
    numbers: str | None

    @property
    def joints(self) -> int:
        return len(self.names)

    @cached_property
    def rest_joints(self) -> Tensor:
        """(J, 3) float64, metres.

        Raises:
            KeyError: the rest pose is not ours to carry; see `numbers`.
        """
        if self.numbers is None:
            raise KeyError(f"the rest pose of {self.name}")
        rest = _tensors()[f"{self.numbers}.rest_joints"].double()
        return rest if len(rest) == self.joints else rest[list(SOMA30_IN_77)]


@cache
def _tensors() -> dict[str, Tensor]:
    return load_file(_NUMBERS)


def numbers(name: str, like: Tensor | None = None) -> Tensor:
    """A table of the data file: `soma77.relaxed_hands` (77, 3, 3), `g1.limits` (29, 2), …

    Args:
        like: where and as what it is wanted, without waiting for a device; None: float64 on the host.
    """
    table = _tensors()[name].double()
    return table if like is None else moved(table.to(like.dtype), like.device)


def _hand(side: str) -> list[str]:
    fingers = [f"{side}Hand{finger}{end}" for finger in _FINGERS for end in ("1", "2", "3", "4", "End")]
    return [f"{side}HandThumb{end}" for end in ("1", "2", "3", "End")] + fingers


def _soma77() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and parents of the public SOMA skeleton: chains, each from the joint that it hangs on."""
    names, parents = ["Hips"], [-1]

    def chain(start: str, joints: list[str]) -> None:
        parent = names.index(start)
        for joint in joints:
            parents.append(parent)
            parent = len(names)
            names.append(joint)

    chain("Hips", ["Spine1", "Spine2", "Chest", "Neck1", "Neck2", "Head", "HeadEnd"])
    for joint in ("Jaw", "LeftEye", "RightEye"):
        chain("Head", [joint])
    for side in ("Left", "Right"):
        chain("Chest", [f"{side}{joint}" for joint in ("Shoulder", "Arm", "ForeArm", "Hand")])
        hand = _hand(side)
        for finger in (hand[:4], *(hand[start : start + 5] for start in range(4, 24, 5))):
            chain(f"{side}Hand", finger)
    for side in ("Left", "Right"):
        chain("Hips", [f"{side}{joint}" for joint in ("Leg", "Shin", "Foot", "ToeBase", "ToeEnd")])
    return tuple(names), tuple(parents)


_NAMES_77, _PARENTS_77 = _soma77()
_LEFT_OUT = ("HeadEnd", "LeftToeEnd", "RightToeEnd")
SOMA30_IN_77 = tuple(
    place
    for place, name in enumerate(_NAMES_77)
    if name not in _LEFT_OUT and ("Hand" not in name or name.endswith(("Hand", "ThumbEnd", "MiddleEnd")))
)
"""Places of the 30 joints that the network knows among the 77 of its files."""
_NAMES_30 = tuple(_NAMES_77[place] for place in SOMA30_IN_77)


def _parent_among_30(place: int) -> int:
    parent = _PARENTS_77[place]
    while parent >= 0 and parent not in SOMA30_IN_77:
        parent = _PARENTS_77[parent]
    return SOMA30_IN_77.index(parent) if parent >= 0 else -1


def _soma(name: str, names: tuple[str, ...], parents: tuple[int, ...]) -> KimodoSkeleton:
    feet = tuple(names.index(f"{side}{part}") for side in ("Left", "Right") for part in ("Foot", "ToeBase"))
    hips = (names.index("RightLeg"), names.index("LeftLeg"))
    return KimodoSkeleton(name, names, parents, hips, feet, "soma77")  # type: ignore[arg-type]


SOMA77 = _soma("soma77", _NAMES_77, _PARENTS_77)
SOMA30 = _soma("soma30", _NAMES_30, tuple(map(_parent_among_30, SOMA30_IN_77)))
SMPLX22 = KimodoSkeleton("smplx22", SMPL22.names, SMPL22.parents, (2, 1), (7, 10, 8, 11), None)


def _g1() -> KimodoSkeleton:
    leg = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll", "toe_base")
    arm = (
        "shoulder_pitch",
        "shoulder_roll",
        "shoulder_yaw",
        "elbow",
        "wrist_roll",
        "wrist_pitch",
        "wrist_yaw",
        "hand_roll",
    )
    names = ["pelvis"]
    parents = [-1]
    for joints, start in (
        ([f"left_{joint}" for joint in leg], 0),
        ([f"right_{joint}" for joint in leg], 0),
        (["waist_yaw", "waist_roll", "waist_pitch"], 0),
        ([f"left_{joint}" for joint in arm], 17),
        ([f"right_{joint}" for joint in arm], 17),
    ):
        parents += [start, *range(len(names), len(names) + len(joints) - 1)]
        names += joints
    return KimodoSkeleton("g1", tuple(names), tuple(parents), (8, 1), (6, 7, 13, 14), "g1")


G1 = _g1()
SKELETONS = {skeleton.joints: skeleton for skeleton in (SOMA77, SOMA30, G1, SMPLX22)}
"""By number of joints, which is how a file tells."""

_SOMA_NAMES = (
    *("Hips", "LeftLeg", "RightLeg", "Spine1", "LeftShin", "RightShin", "Spine2", "LeftFoot", "RightFoot"),
    *("Chest", "LeftToeBase", "RightToeBase", "Neck1", "LeftShoulder", "RightShoulder", "Head", "LeftArm"),
    *("RightArm", "LeftForeArm", "RightForeArm", "LeftHand", "RightHand"),
)
"""SOMA's joints in our order: picked, nothing is blended."""


def soma_names() -> tuple[str, ...]:
    """SOMA's name of each of our 22 joints."""
    return _SOMA_NAMES


_G1_NAMES = (
    *("pelvis", "left_hip_roll", "right_hip_roll", "", "left_knee", "right_knee", "", "left_ankle_roll"),
    *("right_ankle_roll", "", "left_toe_base", "right_toe_base", "", "left_shoulder_pitch"),
    *("right_shoulder_pitch", "", "left_shoulder_yaw", "right_shoulder_yaw", "left_elbow", "right_elbow"),
    *("left_wrist_yaw", "right_wrist_yaw"),
)
"""The robot's joints in our order; it has no spine, neck and head."""
_G1_CHEST, _G1_NECK, _G1_HEAD = 0.15, 0.30, 0.45
"""Metres above the waist's pitch hinge, along it: our proposal, for the robot has nothing there to point at."""


def picked(values: Tensor, places: Sequence[int], dim: int) -> Tensor:
    """Some entries of an axis, in that order: an index would be a tensor, made on the host and copied to the device."""
    return torch.stack([values.select(dim, place) for place in places], dim)


def joints22(posed: Tensor, rotations: Tensor | None = None) -> Tensor:
    """Our 22 joints of posed joints (..., J, 3), J of `SKELETONS`.

    Args:
        rotations: (..., J, 3, 3) global rotations; with them G1's chest, neck and head lean with its waist, without
            them they stand on the line from the pelvis to between the shoulders.
    """
    skeleton = SKELETONS[posed.shape[-2]]
    if skeleton is SMPLX22:
        return posed
    if skeleton is not G1:
        return picked(posed, [skeleton.names.index(name) for name in _SOMA_NAMES], -2)
    return _g1_joints22(posed, rotations)


def _g1_joints22(posed: Tensor, rotations: Tensor | None) -> Tensor:
    place = G1.names.index
    waist, pelvis = posed[..., place("waist_pitch"), :], posed[..., 0, :]
    if rotations is not None:
        up = rotations[..., place("waist_pitch"), :, 1]
    else:
        shoulders = posed[..., [place("left_shoulder_pitch"), place("right_shoulder_pitch")], :].mean(-2)
        up = torch.nn.functional.normalize(shoulders - pelvis, dim=-1)
    chest = waist + _G1_CHEST * up
    between = [pelvis + part * (chest - pelvis) for part in (1 / 3, 2 / 3)]
    made = {3: between[0], 6: between[1], 9: chest, 12: waist + _G1_NECK * up, 15: waist + _G1_HEAD * up}
    found = [
        made[joint] if joint in made else posed[..., place(name), :] for joint, name in enumerate(_G1_NAMES)
    ]
    return torch.stack(found, dim=-2)


def posed_joints(
    local: Tensor, root: Tensor, rest: Tensor, parents: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Forward kinematics: joints (..., J, 3) and global rotations (..., J, 3, 3), pelvis at `root` (..., 3)."""
    rest = rest.to(local)
    world, places = [local[..., 0, :, :]], [root]
    for joint, parent in enumerate(parents[1:], start=1):
        places.append(places[parent] + world[parent] @ (rest[joint] - rest[parent]))
        world.append(world[parent] @ local[..., joint, :, :])
    return torch.stack(places, dim=-2), torch.stack(world, dim=-3)


def soma30_to_77(local: Tensor) -> Tensor:
    """Local rotations of the 77 joints from the network's 30, (..., 30, 3, 3): those of the same name, relaxed hands."""
    full = numbers("soma77.relaxed_hands", local).expand(*local.shape[:-3], 77, 3, 3).clone()
    full[..., list(SOMA30_IN_77), :, :] = local
    return full
