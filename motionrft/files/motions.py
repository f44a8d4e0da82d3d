"""Motions in files: finding them, reading them whatever the format, and going on after a bad one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionrft.errors import UserError
from motionrft.files.arrays import Stored, read_arrays
from motionrft.files.bvh import read_bvh
from motionrft.files.joint_maps import JointMap
from motionrft.files.retarget import bvh_to_joints
from motionrft.representations.names import (
    HYMOTION,
    JOINTS,
    WIDTHS,
    guess_representation,
    representation_name,
)

ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors")
SUFFIXES = (*ARRAY_SUFFIXES, ".bvh")
MOST_FRAMES = 100_000
"""Longest motion that is read, 83 minutes at 20 fps: beyond it, it is a mistake or an attack on the memory."""
_LISTED = 5


@dataclass(frozen=True)
class Motion:
    """One motion as read from a file.

    array: float32, finite, at least two frames: (T, D), or (T, J, 3) for joints.
    representation: its name, see `representations.names`.
    fps: the file's rate where it says one, otherwise the usual one: 20, KIT-ML 12.5, HY-Motion's 201 30.
    source: the file. index: its place in a file that holds a batch, 0 otherwise.
    note: what was guessed on the way and a person may want to check (unit, joint map), or "".
    """

    array: np.ndarray
    representation: str
    fps: float
    source: Path
    index: int = 0
    note: str = ""

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
    """Motions in order, one read at a time; a bad file (or a bad motion of a batch) yields a `FileFault`, then the rest.

    `paths` are files, see `motion_files`; the other arguments are those of `read_motions`.
    """
    for path in map(Path, paths):
        try:
            yield from _stream(path, representation, fps, joint_map)
        except UserError as error:
            yield FileFault(path, str(error))


def read_motions(
    path: Path | str,
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
) -> list[Motion]:
    """Every motion in a file.

    Args:
        representation: what the file holds, by name or alias; recognised from the shape if None.
        fps: the rate of a file that does not say one. BVH says one, and is resampled to `fps` where that differs.
        joint_map: for BVH, which joint is which; recognised by name if None.

    Raises:
        UserError: the file is missing, damaged, of an unknown shape, or holds NaN; the message names file and frame.
    """
    motions = []
    for found in _stream(Path(path), representation, fps, joint_map):
        if isinstance(found, FileFault):
            raise UserError(found.message)
        motions.append(found)
    return motions


def _stream(
    path: Path, representation: str | None, fps: float | None, joint_map: JointMap | None
) -> Iterator[Motion | FileFault]:
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        yield _bvh_motion(path, fps, joint_map)
    elif suffix in ARRAY_SUFFIXES:
        yield from _array_motions(read_arrays(path), path, representation, fps)
    else:
        raise UserError(f"{path}: not a motion file. Legal: {', '.join(SUFFIXES)}.")


def _bvh_motion(path: Path, fps: float | None, joint_map: JointMap | None) -> Motion:
    read = bvh_to_joints(read_bvh(path), str(path), joint_map, fps)
    array = read.joints.float().numpy()
    _check_frames(len(array), str(path))
    return Motion(array, JOINTS, read.fps, path, note=f"{read.joint_map} skeleton in {read.unit}")


def _array_motions(
    stored: Stored, path: Path, wanted: str | None, fps: float | None
) -> Iterator[Motion | FileFault]:
    array = stored.array
    if array.dtype.kind not in "iufb":
        raise UserError(f"{path}: holds {array.dtype}, not numbers.")
    name = recognise_shape(array.shape, str(path), wanted)
    batched = array.ndim == (4 if array.shape[-1] == 3 else 3)
    rate = stored.fps or fps or usual_fps(name, array.shape[-2] if array.shape[-1] == 3 else array.shape[-1])
    if not batched:
        yield Motion(_checked(array, str(path)), name, rate, path)
        return
    lengths = _batch_lengths(stored, path)
    for index, length in enumerate(lengths):
        try:
            yield Motion(_checked(array[index, :length], f"{path}: motion {index}"), name, rate, path, index)
        except UserError as error:
            yield FileFault(path, str(error))


def usual_fps(representation: str, width: int) -> float:
    """The frame rate of a representation's data sets; `width` is that of the last axis, or the number of joints."""
    if width in (251, 21, 63):
        return 12.5
    return 30.0 if representation == HYMOTION else 20.0


def recognise_shape(shape: tuple[int, ...], name: str, wanted: str | None = None) -> str:
    """The representation of an array of this shape.

    Args:
        name: what messages call the array.
        wanted: a name or alias that the array must fit; None recognises it.

    Raises:
        UserError: it fits none, or not the wanted one.
    """
    if 0 in shape:
        raise UserError(f"{name}: an empty motion, shape {shape}.")
    guessed = guess_representation(shape)
    if wanted is None:
        if guessed is None:
            raise UserError(f"{name}: {_unknown_shape(shape)}")
        return guessed
    wanted = representation_name(wanted)
    width = shape[-2] * 3 if len(shape) >= 3 and shape[-1] == 3 else shape[-1]
    if len(shape) < 2 or len(shape) > 4 or width not in WIDTHS[wanted]:
        legal = " or ".join(map(str, WIDTHS[wanted]))
        other = (
            f" It looks like {guessed}: convert it with motionrft convert FILE --to {wanted} --out DIR."
            if guessed
            else ""
        )
        raise UserError(f"{name}: shape {shape}; a {wanted} motion has {legal} values a frame.{other}")
    return wanted


def _unknown_shape(shape: tuple[int, ...]) -> str:
    layouts = (
        "A kinematic motion has 263 (HumanML3D) or 251 (KIT-ML), joints are (T, 22, 3) or 66, "
        "rotation is 135, hymotion 201"
    )
    if len(shape) == 1:
        return f"shape {shape} is one frame without a time axis; a motion is (T, D) with at least two frames. {layouts}."
    if len(shape) > 4:
        return f"shape {shape} has {len(shape)} axes; a motion is (T, D), a batch (B, T, D). {layouts}."
    if shape[-2:] == (3, 22):
        return f"shape {shape} has coordinates before joints; joints are (T, 22, 3)."
    if shape[-1] == 3:
        return f"shape {shape} has {shape[-2]} joints of 3; SMPL has 22, KIT-ML 21. {layouts}."
    return (
        f"last axis is {shape[-1]}. {layouts}. "
        f"Other skeletons come in as BVH: motionrft convert FILE.bvh --to kinematic."
    )


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


def _checked(array: np.ndarray, name: str) -> np.ndarray:
    """The motion as float32, if it has a legal number of frames and every number is finite."""
    _check_frames(len(array), name)
    values = np.array(array, dtype=np.float32, order="C")
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        listed = ", ".join(map(str, bad[:_LISTED])) + (
            f" and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
        )
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise UserError(f"{name}: {kind} in frame {listed} of {len(values)}.")
    return values


def _check_frames(frames: int, name: str) -> None:
    if frames < 2:
        raise UserError(f"{name}: has {frames} frame; a motion has at least two.")
    if frames > MOST_FRAMES:
        raise UserError(f"{name}: has {frames} frames; at most {MOST_FRAMES} are read. Cut it into clips.")


def doubt(motion: Motion) -> str | None:
    """What is suspicious about a motion's numbers, or None: features that look normalised, joints not in metres.

    Raw 6D columns have length one and legs are about as long as legs; normalised features and millimetres are not so.
    """
    if motion.representation == JOINTS:
        joints = motion.array.reshape(len(motion), -1, 3)
        return _doubt_scale(joints) if joints.shape[1] == 22 else None
    places = {263: slice(67, 193), 251: slice(64, 184), 135: slice(3, 135), 201: slice(3, 135)}[
        motion.array.shape[-1]
    ]
    sixd = motion.array[:, places].reshape(len(motion), -1, 6)
    # Two unit columns: 6D has length sqrt(2) in either order.
    length = float(np.median(np.linalg.norm(sixd, axis=-1)))
    if not 1.1 < length < 1.8 and np.any(sixd):
        return (
            f"its rotations are not unit columns (6D length {length:.2f}, expected 1.41): "
            f"is it normalised? De-normalise it first."
        )
    return None


def _doubt_scale(joints: np.ndarray) -> str | None:
    legs = [
        np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) for parent, child in ((1, 4), (4, 7))
    ]
    leg = float(np.median(sum(legs)))
    if 0 < leg < 0.2 or leg > 3:
        return f"its legs are {leg:.3g} m long: is it in another unit, or normalised?"
    return None
