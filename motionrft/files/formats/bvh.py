"""BVH, the motion capture text format, of any skeleton: joints in, a skeleton with its rotations out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from motionrft.files.bvh_reading import Bvh, joint_positions, read_bvh
from motionrft.files.checks import check_finite
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile, WritingOptions, Written
from motionrft.files.joint_maps import JointMap
from motionrft.files.reading import ReadingOptions
from motionrft.files.recognition import limbs_by_name, recognise
from motionrft.files.recording import Motion, Recording
from motionrft.files.skeleton_tree import SkeletonTree
from motionrft.representations.convert import convert
from motionrft.representations.joints import resample_smooth
from motionrft.representations.names import JOINTS

_REST = 1e-3
"""Degrees: rotations below this are a rest pose."""


_TOE = (-0.06, 0.16)
"""A toe that a file has not, from its ankle: down and forward, in parts of the leg."""


def with_toes(bvh: Bvh) -> Bvh:
    """The file with an End Site in front of each ankle that has none, or itself.

    Forward is told by the rest pose, in which frames are aligned with the world: from the hips and the way up the spine.
    """
    tree = tree_of(bvh)
    limbs = limbs_by_name(tree)
    if limbs is None or all(leg[3] is not None for leg in limbs.legs):
        return bvh
    places = tree.rest_places
    left, right = (places[leg[0]] for leg in limbs.legs)
    top = places[tree.common([next(joint for joint in arm if joint is not None) for arm in limbs.arms])]
    up = _unit(top - (left + right) / 2)
    forward = _unit(np.cross(left - right, up))
    for leg in limbs.legs:
        hip, knee, ankle, toe = leg
        if toe is None and hip is not None and knee is not None and ankle is not None and forward.any():
            size = float(tree.lengths[tree.between(hip, ankle)].sum())
            offset = size * (_TOE[0] * up + _TOE[1] * forward)
            bvh = replace(
                bvh,
                names=(*bvh.names, f"{bvh.names[ankle]} toe"),
                parents=(*bvh.parents, ankle),
                offsets=np.concatenate((bvh.offsets, offset[None])),
                channels=(*bvh.channels, ()),
            )
    return bvh


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


class Retargeted:
    """A BVH file seen as the 22 SMPL joints, in its own axes and unit."""

    def __init__(self, bvh: Bvh, file: str, joint_map: JointMap | None) -> None:
        self.file, names = file, bvh.names
        self.bvh = bvh if joint_map is not None else with_toes(bvh)
        self.warnings: tuple[str, ...] = ()
        if joint_map is None:
            bvh = self.bvh
            found = recognise(tree_of(bvh), file)
            joint_map = found.joint_map
            if found.guessed:
                sure = f"{found.confidence:.0%} sure (--show-joint-map shows it)"
                self.warnings = (f"the skeleton's names are not known: guessed by its tree, {sure}",)
        self.joint_map = joint_map.checked(bvh.names, file)
        made_up = ("its toes are made up",) if len(self.bvh.names) > len(names) else ()
        self.notes = (f"{self.joint_map.name} skeleton", *made_up)

    @cached_property
    def weights(self) -> torch.Tensor:
        """(22, J) over the file's joints."""
        return self.joint_map.matrix(self.bvh.names)

    def take(self, start: int, stop: int, fps: float | None) -> np.ndarray:
        """(T, 22, 3) of frames [start, stop), resampled on rotations."""
        check_finite(self.bvh.values[start:stop], self.file)
        return self._joints(slice(start, stop), fps)

    def joints(self, frames: np.ndarray) -> np.ndarray:
        """(N, 22, 3) of single frames."""
        return self._joints(frames, None)

    def _joints(self, frames: slice | np.ndarray, fps: float | None) -> np.ndarray:
        positions, _ = joint_positions(self.bvh.stretch(frames), fps)
        return torch.einsum("sj,tjc->tsc", self.weights, positions).numpy()

    def rest_rows(self) -> int:
        """How many rows in front have no rotation at all."""
        turning = [channel.endswith("rotation") for channels in self.bvh.channels for channel in channels]
        still = (np.abs(self.bvh.values[:16, turning]) < _REST).all(axis=1)
        return int(np.argmin(still)) if not still.all() else len(still)


def tree_of(bvh: Bvh) -> SkeletonTree:
    return SkeletonTree(bvh.names, bvh.parents, bvh.offsets)


def joints_to_write(motion: Motion) -> torch.Tensor:
    """(T, J, 3) of a motion in any representation."""
    rest = None if motion.rest is None else torch.from_numpy(motion.rest)
    joints = convert(torch.from_numpy(motion.array)[None], motion.representation, JOINTS, rest_joints=rest)[0]
    return joints.reshape(len(joints), -1, 3)


def joints_at(motion: Motion, fps: float) -> torch.Tensor:
    """(T, J, 3) of a motion at another rate, for formats that have one of their own."""
    joints = joints_to_write(motion)
    return joints if motion.fps == fps else resample_smooth(joints, motion.fps, fps)


class BvhFormat(MotionFormat):
    """`.bvh`."""

    name = "bvh"
    suffixes = (".bvh",)
    writes = True

    def recognises(self, file: OpenedFile) -> bool:
        return True

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        bvh = read_bvh(file.path)
        seen = Retargeted(bvh, str(file.path), options.joint_map)
        yield Recording(
            file.path,
            JOINTS,
            bvh.fps,
            len(bvh),
            seen.take,
            seen.joints,
            unit=None,
            says_rate=True,
            at_rest=seen.rest_rows(),
            notes=seen.notes,
            warnings=seen.warnings,
        )

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> Written | None:
        from motionrft.files.bvh_writer import BvhStyle, write_bvh

        style = BvhStyle(options.unit, options.rest, options.positions)
        fitted = write_bvh(path, joints_to_write(motion), motion.fps, style)
        return None if fitted is None else Written(fitted.mean_mm, fitted.worst_mm)
