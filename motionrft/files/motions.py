"""Motions in files: finding them, reading them whatever the format, and going on after a bad one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.arrays import Stored, read_arrays
from motionrft.files.bvh import read_bvh
from motionrft.files.checks import (
    check_frames,
    check_resampling,
    checked_values,
    doubtful,
    recognise_shape,
)
from motionrft.files.joint_maps import JointMap
from motionrft.files.retarget import bvh_to_joints
from motionrft.parsing import parsing
from motionrft.representations.names import HYMOTION, JOINTS
from motionrft.representations.resample import resample

ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors")
SUFFIXES = (*ARRAY_SUFFIXES, ".bvh")


@dataclass(frozen=True)
class Motion:
    """One motion as read from a file.

    array: float32, finite, at least two frames: (T, D), or (T, J, 3) for joints.
    representation: its name, see `representations.names`.
    fps: the file's rate where it says one, otherwise the usual one: 20, KIT-ML 12.5, HY-Motion's 201 30.
    source: the file. batched: it holds a batch. index: the motion's place in it, 0 otherwise.
    note: what was guessed on the way and a person may want to check (unit, joint map), or "".
    """

    array: np.ndarray
    representation: str
    fps: float
    source: Path
    index: int = 0
    batched: bool = False
    note: str = ""

    def __len__(self) -> int:
        return len(self.array)


@dataclass(frozen=True)
class FileFault:
    """A file that could not be read, and the sentence that says why (it names the file)."""

    source: Path
    message: str


@dataclass(frozen=True)
class Reading:
    """How files are read; the arguments of `read_motions`."""

    representation: str | None = None
    fps: float | None = None
    source_fps: float | None = None
    joint_map: JointMap | None = None
    unit: str | None = None


def motion_files(inputs: Iterable[Path | str]) -> list[Path]:
    """The motion files that the inputs stand for: a folder means every motion file below it, sorted.

    Raises:
        UserError: a folder holds no motion. Files that do not exist are told when they are read.
    """
    files: list[Path] = []
    for item in map(Path, inputs):
        if item.is_dir():
            below = sorted(
                path for path in item.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
            )
            if not below:
                raise UserError(f"{item}: no motion file below it ({', '.join(SUFFIXES)}).")
            files.extend(below)
        else:
            files.append(item)
    return files


def iterate_motions(
    paths: Iterable[Path | str],
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
) -> Iterator[Motion | FileFault]:
    """Motions in order, one read at a time; a bad file (or a bad motion of a batch) yields a `FileFault`.

    `paths` are files, see `motion_files`; the other arguments are those of `read_motions`.
    """
    reading = Reading(representation, fps, joint_map=joint_map)
    for path in map(Path, paths):
        yield from stream_motions(path, reading)


def read_motions(
    path: Path | str,
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
) -> list[Motion]:
    """Every motion in a file.

    Args:
        representation: what the file holds, by name or alias; recognised from the shape if None. BVH holds joints.
        fps: the rate that is wanted; a motion of another rate is resampled. None keeps each motion's own.
        joint_map: for BVH, which joint is which; recognised by name if None.

    Raises:
        UserError: the file is missing, damaged, of an unknown shape, or holds NaN; names file and frame.
    """
    motions = []
    for found in stream_motions(Path(path), Reading(representation, fps, joint_map=joint_map)):
        if isinstance(found, FileFault):
            raise UserError(found.message)
        motions.append(found)
    return motions


def stream_motions(path: Path, reading: Reading) -> Iterator[Motion | FileFault]:
    """The motions of one file, each read when it is asked for, with a `FileFault` in place of what is bad."""
    try:
        with parsing(path, "a motion file"):
            yield from _stream(path, reading)
    except UserError as error:
        yield FileFault(path, str(error))


def _stream(path: Path, reading: Reading) -> Iterator[Motion | FileFault]:
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        yield _bvh_motion(path, reading)
    elif suffix in ARRAY_SUFFIXES:
        yield from _array_motions(read_arrays(path), path, reading)
    else:
        raise UserError(f"{path}: not a motion file. Legal: {', '.join(SUFFIXES)}.")


def _bvh_motion(path: Path, reading: Reading) -> Motion:
    bvh = read_bvh(path)
    check_frames(len(bvh), str(path))
    if reading.fps is not None:
        check_resampling(len(bvh), bvh.fps, reading.fps, str(path))
    read = bvh_to_joints(bvh, str(path), reading.joint_map, reading.fps, reading.unit)
    array = read.joints.float().numpy()
    check_frames(len(array), str(path))
    return Motion(array, JOINTS, read.fps, path, note=f"{read.joint_map} skeleton, {read.unit}")


def _array_motions(stored: Stored, path: Path, reading: Reading) -> Iterator[Motion | FileFault]:
    array = stored.array
    if array.dtype.kind not in "iufb":
        raise UserError(f"{path}: holds {array.dtype}, not numbers.")
    name = recognise_shape(array.shape, str(path), reading.representation)
    cartesian = array.shape[-1] == 3
    rate = (
        stored.fps or reading.source_fps or usual_fps(name, array.shape[-2] if cartesian else array.shape[-1])
    )
    if array.ndim == (3 if cartesian else 2):
        yield _array_motion(array, str(path), Motion(array, name, rate, path), reading)
        return
    for index, length in enumerate(_batch_lengths(stored, path)):
        try:
            motion = Motion(array, name, rate, path, index, batched=True)
            yield _array_motion(array[index, :length], f"{path}: motion {index}", motion, reading)
        except UserError as error:
            yield FileFault(path, str(error))


def _array_motion(array: np.ndarray, name: str, motion: Motion, reading: Reading) -> Motion:
    """`motion` with the checked values of `array`, at the rate that is wanted."""
    values, rate = checked_values(array, name), motion.fps
    if motion.representation == JOINTS:
        values = values.reshape(len(values), -1, 3)
    if reading.fps is not None and reading.fps != rate:
        check_resampling(len(values), rate, reading.fps, name)
        values = resample(torch.from_numpy(values), motion.representation, rate, reading.fps).numpy()
        check_frames(len(values), name)
        rate = reading.fps
    return replace(motion, array=values, fps=rate)


def usual_fps(representation: str, width: int) -> float:
    """The frame rate of a representation's data sets; `width` is that of the last axis, or the number of joints."""
    if width in (251, 21, 63):
        return 12.5
    return 30.0 if representation == HYMOTION else 20.0


def _batch_lengths(stored: Stored, path: Path) -> list[int]:
    batch, frames = stored.array.shape[:2]
    if stored.lengths is None:
        return [frames] * batch
    if stored.lengths.dtype.kind not in "iu" or stored.lengths.size != batch:
        raise UserError(f"{path}: lengths must be {batch} whole numbers, one a motion.")
    lengths = [int(length) for length in stored.lengths.reshape(-1)]
    wrong = [length for length in lengths if not 0 < length <= frames]
    if wrong:
        raise UserError(f"{path}: a length of {wrong[0]} in a batch of {frames} frames.")
    return lengths


def doubt(motion: Motion) -> str | None:
    """What is suspicious about a motion's numbers, or None: features that look normalised, joints not in metres."""
    return doubtful(motion.array, motion.representation)
