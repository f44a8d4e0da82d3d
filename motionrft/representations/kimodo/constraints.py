"""Kimodo's constraints: a list of wishes (`constraints.json`) as values of features, and which of them are wished
for.

root2d fixes the smooth path's x and z, and the heading where it is given; fullbody every joint's position; left-hand,
right-hand, left-foot, right-foot and end-effector the positions of a chain and the rotation of its first joint. All
but root2d fix the heading, the height of the pelvis and the smooth x and z as well. Rotations of a full body are not
fixed, as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.kimodo.features import ROOT, heading_of, rest_of, width_of
from motionrft.representations.kimodo.skeletons import G1, SOMA30, KimodoSkeleton, posed_joints
from motionrft.rotations import matrix_to_sixd, quaternion_to_matrix, rotation_vector_to_quaternion

Chains = Mapping[str, tuple[str, ...]]
_SOMA: Final[Chains] = {
    "LeftFoot": ("LeftFoot", "LeftToeBase"),
    "RightFoot": ("RightFoot", "RightToeBase"),
    "LeftHand": ("LeftHand", "LeftHandMiddleEnd"),
    "RightHand": ("RightHand", "RightHandMiddleEnd"),
    "Hips": ("Hips",),
}
_G1: Final[Chains] = {
    "LeftFoot": ("left_ankle_roll", "left_toe_base"),
    "RightFoot": ("right_ankle_roll", "right_toe_base"),
    "LeftHand": ("left_wrist_yaw", "left_hand_roll"),
    "RightHand": ("right_wrist_yaw", "right_hand_roll"),
    "Hips": ("pelvis",),
}
_SMPLX: Final[Chains] = {
    "LeftFoot": ("left_ankle", "left_foot"),
    "RightFoot": ("right_ankle", "right_foot"),
    "LeftHand": ("left_wrist",),
    "RightHand": ("right_wrist",),
    "Hips": ("pelvis",),
}
_LIMBS: Final = {
    "left-hand": ("LeftHand",),
    "right-hand": ("RightHand",),
    "left-foot": ("LeftFoot",),
    "right-foot": ("RightFoot",),
}
KINDS: Final = ("root2d", "fullbody", *_LIMBS, "end-effector")
PATH: Final = (0, 2)
"""Features of the smooth x and z."""
HEADING: Final = (3, 4)


def chains_of(skeleton: KimodoSkeleton) -> Chains:
    """The joints of each end of the body, the one whose rotation counts first."""
    return _G1 if skeleton is G1 else _SOMA if skeleton is SOMA30 else _SMPLX


@dataclass(frozen=True)
class Wishes:
    """observed: (T, 12 J + 9) de-normalised features; mask: like it, True where they are wished for."""

    observed: Tensor
    mask: Tensor

    @property
    def first_heading(self) -> float | None:
        """Radians that the first frame shall face, where that is wished for."""
        if not self.mask[0, list(HEADING)].all():
            return None
        cos, sin = self.observed[0, list(HEADING)]
        return float(torch.atan2(sin, cos))

    def fix(self, frame: int, places: Sequence[int], values: Tensor) -> None:
        """Wish for these features of a frame; what was wished for there before is forgotten."""
        self.observed[frame, list(places)] = values.to(self.observed)
        self.mask[frame, list(places)] = True


def read_wishes(
    wishes: Any,
    frames: int,
    skeleton: KimodoSkeleton,
    rest: Tensor | None = None,
    chains: Chains | None = None,
    origin: str = "constraints",
) -> Wishes:
    """The wishes of a `constraints.json`, for a motion of so many frames.

    Raises:
        UserError: one of them is unknown, incomplete, of another skeleton, or beyond the motion; it is named.
    """
    if not isinstance(wishes, list) or not all(isinstance(wish, dict) for wish in wishes):
        raise UserError(f"{origin}: constraints are a list of objects, each with type and frame_indices.")
    width = width_of(skeleton)
    found = Wishes(torch.zeros(frames, width), torch.zeros(frames, width, dtype=torch.bool))
    reader = _Reader(found, skeleton, rest_of(skeleton, rest).float(), chains or chains_of(skeleton))
    for number, wish in enumerate(wishes):
        kind = wish.get("type")
        place = f"{origin}: constraint {number} ({kind})"
        if kind not in KINDS:
            raise UserError(f"{origin}: constraint {number}: type is {kind!r}; there are {', '.join(KINDS)}.")
        reader.read(str(kind), wish, place)
    return found


def positions_of(joints: Sequence[int]) -> list[int]:
    """Features of the positions of these joints."""
    return [ROOT + 3 * joint + axis for joint in joints for axis in range(3)]


def rotation_of(joint: int, skeleton: KimodoSkeleton) -> list[int]:
    """Features of the rotation of a joint."""
    start = ROOT + 3 * skeleton.joints + 6 * joint
    return list(range(start, start + 6))


@dataclass(frozen=True)
class _Reader:
    into: Wishes
    skeleton: KimodoSkeleton
    rest: Tensor
    chains: Chains

    def read(self, kind: str, wish: Mapping[str, Any], place: str) -> None:
        frames = self._frames(wish, place)
        if kind == "root2d":
            self._path(frames, wish, place)
            return
        root = self._values(wish, "root_positions", (len(frames), 3), place)
        turns = self._values(wish, "local_joints_rot", (len(frames), self.skeleton.joints, 3), place)
        assert root is not None and turns is not None
        path = self._values(wish, "smooth_root_2d", (len(frames), 2), place, optional=True)
        path = root[:, [0, 2]] if path is None else path
        local = quaternion_to_matrix(rotation_vector_to_quaternion(turns))
        posed, world = posed_joints(local, root, self.rest, self.skeleton.parents)
        heading = heading_of(posed, self.skeleton)
        whole = list(range(self.skeleton.joints))
        chains = (
            [] if kind == "fullbody" else [self._chain(name, place) for name in self._ends(kind, wish, place)]
        )
        for row, frame in enumerate(frames):
            self.into.fix(frame, PATH, path[row])
            self.into.fix(frame, (1,), root[row, 1:2])
            self.into.fix(frame, HEADING, heading[row])
            for joints in chains or [whole]:
                at = posed[row, joints].clone()
                at[:, [0, 2]] -= path[row]
                self.into.fix(frame, positions_of(joints), at.flatten())
            for joints in chains:
                sixd = matrix_to_sixd(world[row, joints[0]], "columns")
                self.into.fix(frame, rotation_of(joints[0], self.skeleton), sixd)

    def _path(self, frames: list[int], wish: Mapping[str, Any], place: str) -> None:
        path = self._values(wish, "smooth_root_2d", (len(frames), 2), place)
        heading = self._values(wish, "global_root_heading", (len(frames), 2), place, optional=True)
        assert path is not None
        for row, frame in enumerate(frames):
            self.into.fix(frame, PATH, path[row])
            if heading is not None:
                self.into.fix(frame, HEADING, heading[row])

    def _frames(self, wish: Mapping[str, Any], place: str) -> list[int]:
        frames = wish.get("frame_indices")
        if not isinstance(frames, list) or not all(type(frame) is int for frame in frames):
            raise UserError(f"{place}: frame_indices is {frames!r}; a list of whole numbers is wanted.")
        beyond = [frame for frame in frames if not 0 <= frame < len(self.into.mask)]
        if beyond:
            raise UserError(
                f"{place}: frame {beyond[0]} is outside the motion's {len(self.into.mask)} frames."
            )
        return frames

    def _values(
        self, wish: Mapping[str, Any], name: str, shape: tuple[int, ...], place: str, optional: bool = False
    ) -> Tensor | None:
        if wish.get(name) is None and optional:
            return None
        try:
            values = torch.tensor(wish.get(name), dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError):
            values = torch.zeros(0)
        if values.shape != torch.Size(shape) or not torch.isfinite(values).all():
            had = "missing" if name not in wish else f"no numbers of shape {list(shape)}"
            hint = f" ({self.skeleton.name} has {self.skeleton.joints} joints)" if len(shape) == 3 else ""
            raise UserError(f"{place}: {name} is {had}{hint}.")
        return values

    def _ends(self, kind: str, wish: Mapping[str, Any], place: str) -> Sequence[str]:
        names = _LIMBS.get(kind) or wish.get("joint_names")
        if not isinstance(names, list | tuple) or not names or not set(names) <= set(self.chains):
            raise UserError(
                f"{place}: joint_names is {names!r}; a list of {', '.join(self.chains)} is wanted."
            )
        return [str(name) for name in names]

    def _chain(self, name: str, place: str) -> list[int]:
        return [self.skeleton.names.index(joint) for joint in self.chains[name]]
