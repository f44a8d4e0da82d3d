"""Kimodo's `.npz`: posed joints of SOMA (77 or 30), the Unitree G1 (34) or SMPL-X (22), metres, Y up, 30 fps, unsaid.

Files of before March 2026 hold `posed_joints`, `global_rot_mats` and `foot_contacts` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from motionrft.files.arrays import rate_of, write_members
from motionrft.files.checks import check_finite
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile, WritingOptions
from motionrft.files.formats.bvh import joints_at
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion, Recording
from motionrft.files.rigid_fit import fit_rigid
from motionrft.representations.joints import resample_smooth
from motionrft.representations.kimodo.features import (
    KimodoFeatures,
    local_rotations,
    rest_of,
    skeleton_of_features,
)
from motionrft.representations.kimodo.retarget import soma_pose
from motionrft.representations.kimodo.skeletons import (
    FPS,
    G1,
    SKELETONS,
    SOMA30,
    SOMA77,
    joints22,
    posed_joints,
    soma30_to_77,
)
from motionrft.representations.names import JOINTS, KIMODO
from motionrft.representations.resample import resample
from motionrft.rotations import normalise

_MARKS = frozenset(
    ("global_rot_mats", "local_rot_mats", "smooth_root_pos", "global_root_heading", "foot_contacts")
)
"""Members that tell Kimodo's 22 joints from anyone's."""
_STILL, _LOW = 0.15, 0.10
_KNOWN = {
    "soma77": "SOMA",
    "soma30": "SOMA",
    "g1": "Unitree G1 (its chest, neck and head are made up)",
    "smplx22": "SMPL-X",
}


class KimodoFormat(MotionFormat):
    """`.npz` as `kimodo_gen` writes it, one motion or a batch."""

    name = "kimodo"
    suffixes = (".npz",)
    writes = True
    takes_features = True

    def recognises(self, file: OpenedFile) -> bool:
        posed = file.array("posed_joints")
        if (
            posed is None
            or posed.ndim not in (3, 4)
            or posed.shape[-1] != 3
            or posed.shape[-2] not in SKELETONS
        ):
            return False
        return posed.shape[-2] != 22 or bool(_MARKS & set(file.arrays))

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        posed, turns = file.array("posed_joints"), file.array("global_rot_mats")
        assert posed is not None  # `recognises` has seen it
        turns = turns if turns is not None and turns.shape[:-1] == posed.shape else None
        fps = rate_of(file.arrays, file.path) or options.source_fps or FPS
        if posed.ndim == 3:
            yield _recording(file.path, posed, turns, fps)
            return
        for index, clip in enumerate(posed):
            yield _recording(file.path, clip, None if turns is None else turns[index], fps, index)

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> None:
        """SOMA's 77 joints at 30 fps, without `smooth_root_pos`; the network's own features as they are, with it."""
        if motion.representation == KIMODO:
            rest = None if motion.rest is None else torch.from_numpy(motion.rest)
            write_members(path, feature_members(torch.from_numpy(resampled_features(motion)), rest))
            return
        write_members(path, soma_members(joints_at(motion, FPS)))


def resampled_features(motion: Motion) -> np.ndarray:
    """(T, 12 J + 9) at 30 fps."""
    found: np.ndarray = resample(torch.from_numpy(motion.array), KIMODO, motion.fps, FPS).numpy()
    return found


def feature_members(values: torch.Tensor, rest: torch.Tensor | None = None) -> dict[str, np.ndarray]:
    """Kimodo's arrays of its features (T, 12 J + 9): SOMA with its 77 joints, the G1 with 34, SMPL-X with 22.

    Args:
        rest: (J, 3) rest joints of SMPL-X.

    Raises:
        UserError: SMPL-X without its rest joints, which a bare motion does not bring.
    """
    skeleton, features = skeleton_of_features(values.shape[-1]), KimodoFeatures(values.double())
    local, rest = local_rotations(features.rotations, skeleton.parents), rest_of(skeleton, rest)
    if skeleton is SOMA30:
        local, skeleton, rest = soma30_to_77(local), SOMA77, SOMA77.rest_joints
    posed, world = posed_joints(local, features.root, rest, skeleton.parents)
    found = {
        "posed_joints": posed,
        "global_rot_mats": world,
        "local_rot_mats": local,
        "root_positions": features.root,
        "smooth_root_pos": features.smooth_root,
        "global_root_heading": features.heading,
    }
    return {name: value.float().numpy() for name, value in found.items()} | {
        "foot_contacts": features.contacts.numpy()
    }


def soma_members(joints: torch.Tensor) -> dict[str, np.ndarray]:
    """Kimodo's arrays of joints (T, 22, 3), metres, Y up, 30 fps, played on SOMA."""
    fitted = fit_rigid(joints)
    local, root = soma_pose(fitted.joints(), fitted.world())
    posed, world = posed_joints(local, root, SOMA77.rest_joints, SOMA77.parents)
    right, left = (posed[:, SOMA77.names.index(name)] for name in ("RightLeg", "LeftLeg"))
    across = normalise((right - left) * torch.tensor([1.0, 0.0, 1.0]).to(posed))
    found = {
        "posed_joints": posed,
        "global_rot_mats": world,
        "local_rot_mats": local,
        "root_positions": root,
        "global_root_heading": torch.stack((-across[:, 0], across[:, 2]), dim=-1),  # cos, sin; 0 faces +Z
    }
    return {name: value.float().numpy() for name, value in found.items()} | {
        "foot_contacts": _contacts(posed).numpy()
    }


def _contacts(posed: torch.Tensor) -> torch.Tensor:
    """(T, 4) bool, left ankle and toe, right ankle and toe: slower than 0.15 m/s and lower than 0.10 m."""
    feet = posed[
        :, [SOMA77.names.index(f"{side}{part}") for side in ("Left", "Right") for part in ("Foot", "ToeBase")]
    ]
    speed = (feet[1:] - feet[:-1]).norm(dim=-1) * FPS  # (T - 1, 4)
    speed = torch.cat((speed, speed[-1:]))
    return (speed < _STILL) & (feet[..., 1] < _LOW)


def _recording(
    path: Path, posed: np.ndarray, turns: np.ndarray | None, fps: float, index: int | None = None
) -> Recording:
    """Posed joints (T, J, 3) with their global rotations (T, J, 3, 3), seen as our 22."""
    skeleton = SKELETONS[posed.shape[1]]

    def joints(frames: np.ndarray | slice) -> np.ndarray:
        needed = (
            None
            if turns is None or skeleton is not G1
            else torch.from_numpy(np.array(turns[frames], np.float64))
        )
        return joints22(torch.from_numpy(np.array(posed[frames], np.float64)), needed).numpy()

    def take(start: int, stop: int, wanted: float | None) -> np.ndarray:
        found = joints(slice(start, stop))
        check_finite(found, str(path))
        if wanted is None or wanted == fps:
            return found
        return resample_smooth(torch.from_numpy(found), fps, wanted).numpy()

    return Recording(
        path,
        JOINTS,
        fps,
        len(posed),
        take,
        joints,
        index=index or 0,
        batched=index is not None,
        notes=(f"Kimodo, {skeleton.joints} joints of {_KNOWN[skeleton.name]}", f"{fps:g} fps"),
    )
