"""Bare arrays: `.npy`, `.npz`, `.safetensors`, and dictionaries of arrays in `.pkl`.

(T, D), (B, T, D), (T, J, 3), (B, T, J, 3), and MDM's (B, J, 3, T); the representation is told by the shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.arrays import Stored, pick_motion, write_arrays
from motionrft.files.checks import checked_values, recognise_shape
from motionrft.files.dataset_rate import rate_beside
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile, WritingOptions
from motionrft.files.joint_maps import JointMap
from motionrft.files.layouts import KIT_AS_SMPL, Layout, joints_layout, usual_fps
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion, Recording, rate_taken
from motionrft.plurals import counted
from motionrft.representations.convert import convert
from motionrft.representations.names import FLOWMDM, HYMOTION, JOINTS, KINEMATIC, ROTATION
from motionrft.representations.resample import resample
from motionrft.skeleton import KIT21


class ArrayStretch:
    """One motion in an array, (T, ...) of one representation: frames of it, and its joints to look at."""

    def __init__(self, values: np.ndarray, representation: str, fps: float, label: str) -> None:
        self.values, self.representation, self.fps, self.label = values, representation, fps, label

    def take(self, start: int, stop: int, fps: float | None) -> np.ndarray:
        """(T, D), or (T, J, 3) for joints, of frames [start, stop), resampled."""
        values = checked_values(self.values[start:stop], self.label)
        if self.representation == JOINTS:
            values = values.reshape(len(values), -1, 3)
        if fps is not None and fps != self.fps:
            values = resample(torch.from_numpy(values), self.representation, self.fps, fps).numpy()
        return values

    def joints(self, frames: np.ndarray) -> np.ndarray:
        """(N, 22, 3) of single frames, for a look at the body."""
        with np.errstate(over="ignore"):
            values = torch.from_numpy(np.array(self.values[frames], dtype=np.float32, order="C"))
        if self.representation == KINEMATIC:
            return _upright_joints(values).numpy()
        if self.representation == JOINTS and values[0].numel() == 3 * KIT21.joints:
            return values.reshape(len(values), -1, 3)[:, KIT_AS_SMPL].numpy()
        joints = convert(values[None], self.representation, JOINTS)[0]
        return joints.reshape(len(joints), -1, 3).numpy()

    @property
    def visible(self) -> bool:
        """Whether `joints` has 22 joints to show."""
        width = int(np.prod(self.values.shape[1:]))
        return width in (66, 63, 263, 135, 201) and self.representation != FLOWMDM


def _upright_joints(features: torch.Tensor) -> torch.Tensor:
    """(N, 22, 3) of single frames of features: the body over the origin, as it is turned there."""
    pelvis = torch.nn.functional.pad(features[:, 3:4], (1, 1))
    return torch.cat((pelvis, features[:, 4:67]), dim=-1).unflatten(-1, (22, 3))


def array_recordings(
    stored: Stored, path: Path, options: ReadingOptions, notes: tuple[str, ...] = ()
) -> Iterator[Recording | FileFault]:
    """The recordings of one array, a batch or a single motion, in any layout that is known."""
    if stored.array.dtype.kind not in "iufb":
        raise UserError(f"{path}: holds {stored.array.dtype}, not numbers.")
    layout = joints_layout(stored.array.shape, options.representation)
    array = layout.applied(stored.array)
    if options.joint_map is not None and array.ndim in (3, 4) and array.shape[-1] == 3:
        array = _mapped(array, options.joint_map, path)
        layout, stored = Layout(tuple(range(array.ndim))), replace(stored, array=array)
    name = recognise_shape(array.shape, str(path), options.representation)
    cartesian = array.shape[-1] == 3
    told = stored.fps or (None if options.source_fps else rate_beside(path))
    said = told is not None
    fps = told or options.source_fps or usual_fps(name, array.shape[-2] if cartesian else array.shape[-1])
    notes += _rate_note(said, options, fps) + layout.notes
    single = array.ndim == (3 if cartesian else 2)
    if single:
        yield replace(_recording(array, name, fps, path, notes, text=stored.text(0)), says_rate=said)
        return
    for index, length in enumerate(_batch_lengths(stored, layout, path)):
        member = _recording(array[index, :length], name, fps, path, notes, index, stored.text(index))
        yield replace(member, says_rate=said)


def _unpadded(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """A motion (T, ...) without the zeros behind it, which no body's frame is, and what is said of them."""
    frames = len(values)
    while frames and not np.any(values[frames - 1]):
        frames -= 1
    if frames in (0, len(values)):
        return values, ()
    left = counted(len(values) - frames, "frame is", "frames are")
    return values[:frames], (f"its last {left} all zeros: taken for padding and left out",)


def _mapped(array: np.ndarray, joint_map: JointMap, path: Path) -> np.ndarray:
    """Joints (…, J, 3) of any skeleton as our 22; a map calls the joints of an array by their numbers, from 0."""
    names = [str(joint) for joint in range(array.shape[-2])]
    weights = joint_map.checked(names, str(path)).matrix(names).numpy()
    return np.einsum("sj,...jc->...sc", weights, np.asarray(array, dtype=np.float64))


def _recording(
    values: np.ndarray,
    representation: str,
    fps: float,
    path: Path,
    notes: tuple[str, ...],
    index: int | None = None,
    text: str | None = None,
) -> Recording:
    label = str(path) if index is None else f"{path}: motion {index}"
    values, warnings = _unpadded(values)
    seen = ArrayStretch(values, representation, fps, label)
    joints = representation == JOINTS
    return Recording(
        path,
        representation,
        fps,
        len(values),
        seen.take,
        seen.joints if seen.visible else None,
        unit=None if joints else "metres",
        usual_unit="metres" if joints else None,
        kept_unit="millimetres" if joints and values[0].size == 3 * KIT21.joints else None,
        turnable=representation in (JOINTS, ROTATION, HYMOTION),
        index=index or 0,
        batched=index is not None,
        text=text,
        notes=notes,
        warnings=warnings,
    )


def _rate_note(said: bool, options: ReadingOptions, fps: float) -> tuple[str, ...]:
    if said or options.source_fps:
        return ()
    return (rate_taken(fps),)


def _batch_lengths(stored: Stored, layout: Layout, path: Path) -> list[int]:
    batch, frames = layout.applied(stored.array).shape[:2]
    if stored.lengths is None:
        return [frames] * batch
    if stored.lengths.dtype.kind not in "iu" or stored.lengths.size != batch:
        raise UserError(f"{path}: lengths must be {batch} whole numbers, one a motion.")
    lengths = [int(length) for length in stored.lengths.reshape(-1)]
    wrong = [length for length in lengths if not 0 < length <= frames]
    if wrong:
        raise UserError(f"{path}: a length of {wrong[0]} in a batch of {frames} frames.")
    return lengths


class ArrayFormat(MotionFormat):
    """Arrays without names of their own; the last to be asked, for it takes what nobody else knows."""

    name = "arrays"
    suffixes = (".npy", ".npz", ".safetensors", ".pkl")
    writes = True

    def recognises(self, file: OpenedFile) -> bool:
        return True

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        stored, notes = pick_motion(file.arrays, file.path)
        yield from array_recordings(stored, file.path, options, notes)

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> None:
        write_arrays(path, motion.array, motion.fps)
