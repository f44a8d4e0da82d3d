"""Motions in files: finding them, reading them whatever the format, and going on after a bad one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.bvh import read_bvh
from motionrft.files.joint_maps import JointMap
from motionrft.files.retarget import bvh_to_joints
from motionrft.representations.names import JOINTS, KINEMATIC, representation_name

SUFFIXES = (".npy", ".npz", ".safetensors", ".bvh")
DEFAULT_FPS = 20.0


@dataclass(frozen=True)
class Motion:
    """One motion as read from a file.

    array: float32, (T, D), or (T, J, 3) for joints.
    representation: its name, see `representations.names`.
    fps: the file's rate where it says one, otherwise the data set's: 20, or 12.5 for KIT-ML.
    source: the file. index: its place in a file that holds a batch, 0 otherwise.
    """

    array: np.ndarray
    representation: str
    fps: float
    source: Path
    index: int = 0

    def __len__(self) -> int:
        return len(self.array)


@dataclass(frozen=True)
class FileFault:
    """A file that could not be read, and the sentence that says why (it names the file)."""

    source: Path
    message: str


def motion_files(inputs: Iterable[Path | str]) -> list[Path]:
    """The motion files that the inputs stand for: a folder means every motion file below it, sorted.

    Raises:
        UserError: an input does not exist, or a folder holds no motion.
    """
    files: list[Path] = []
    for item in map(Path, inputs):
        if item.is_dir():
            below = sorted(path for path in item.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
            if not below:
                raise UserError(f"{item}: no motion file below it ({', '.join(SUFFIXES)}).")
            files.extend(below)
        else:
            files.append(item)
    return files


def read_motions(
    path: Path | str,
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
) -> list[Motion]:
    """Every motion in a file.

    Args:
        representation: what the file holds; recognised from the shape if None.
        fps: the rate of the file if it does not say one. BVH says one, and is resampled to `fps` if that differs.
        joint_map: for BVH, which joint is which; recognised by name if None.

    Raises:
        UserError: the file is missing, damaged, of an unknown shape, or holds NaN; the message names file and frame.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    if path.suffix.lower() == ".bvh":
        read = bvh_to_joints(read_bvh(path), str(path), joint_map, fps)
        return [Motion(read.joints.float().numpy(), JOINTS, read.fps, path)]
    raise UserError(f"{path}: not a motion file. Legal: {', '.join(SUFFIXES)}.")


def iterate_motions(
    paths: Iterable[Path | str],
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
) -> Iterator[Motion | FileFault]:
    """Motions one file at a time, in order; a bad file yields a `FileFault` and the rest follows."""
    for path in paths:
        try:
            motions: Sequence[Motion | FileFault] = read_motions(path, representation, fps, joint_map)
        except UserError as error:
            motions = [FileFault(Path(path), str(error))]
        yield from motions


def read_joints(path: Path, fps: float, joint_map: JointMap | None = None) -> torch.Tensor:
    """The first motion of a file as joints (T, 22, 3), metres, at `fps`."""
    motion = read_motions(path, fps=fps, joint_map=joint_map)[0]
    return torch.from_numpy(motion.array)
