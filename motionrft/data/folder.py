"""A data set folder in HumanML3D's layout: clips of a split, their captions, labels, motions and statistics."""

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionrft.data.captions import Caption, read_captions
from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays
from motionrft.files.checks import check_finite, check_fps, checked_values, recognise_shape
from motionrft.files.clip_names import clip_file, read_names
from motionrft.files.dataset_layout import FOLDERS, folder_of
from motionrft.parsing import csv_rows, read_json
from motionrft.representations.convert import convert
from motionrft.representations.kinematic import skeleton_of, skeleton_of_joints
from motionrft.representations.statistics import Statistics
from motionrft.skeleton import SMPL22, Skeleton
from motionrft.training.fingerprints import contents_hash
from motionrft.training.recent import Recent

DEFAULT_FPS = 20.0
HELD = 128 * 2**20
"""Bytes of motion kept in memory; the rest stays in its files: HumanML3D's training split is 9 GB in three layouts."""


ROTATION_WIDTH = 135

log = logging.getLogger(__name__)
_TOLD = 3
"""Clips that are named where several are left out."""


@dataclass(frozen=True)
class Item:
    """One training item: a whole clip, or the part of a clip that its captions describe.

    key: unique name; `clip` for a whole clip, `clip@start-end` for a part.
    start, end: frames of the clip, end exclusive.
    label: what kind of motion it is (content and style), or None where the data set does not say.
    """

    key: str
    clip: str
    captions: tuple[Caption, ...]
    start: int
    end: int
    label: str | None = None

    @property
    def length(self) -> int:
        return self.end - self.start


class MotionDataset:
    """Items of one split, motions read from disk on demand.

    Args:
        folder: the data set: `new_joint_vecs/`, `new_joints/`, `rotations/` (any of them), `texts/`, `SPLIT.txt`.
        split: `train`, `val`, `test` or any other `NAME.txt` there: a clip's name a line.
        min_frames: shorter items are left out.
        max_frames: longer items are cut to their first frames.

    Raises:
        UserError: the folder, the split file or every motion of it is missing; a file is damaged; a name leads out of
            the folder.

    Its skeleton, and where `dataset.json` does not say it its frame rate, follow from the width of its clips: KIT-ML's
    are at 12.5. `left_out` has a sentence for each listed clip that holds NaN or infinity, as two of HumanML3D's do.
    """

    def __init__(self, folder: Path | str, split: str, min_frames: int = 16, max_frames: int = 196):
        self.folder, self.split = Path(folder), split
        self.min_frames, self.max_frames = min_frames, max_frames
        self.properties = self._read_properties()
        self.fps = self._read_fps()
        self.left_out: list[str] = []
        self.items = self._read_items()
        for sentence in self.left_out[:_TOLD]:
            log.warning("%s", sentence)
        if len(self.left_out) > _TOLD:
            log.warning("%s: %d more clips left out.", self.folder, len(self.left_out) - _TOLD)
        if not self.items:
            raise UserError(
                f"{self.folder}: split {split!r} has no clip of at least {min_frames} frames with a caption."
            )
        self._recent: Recent[tuple[str, str], Tensor] = Recent(HELD)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def representations(self) -> tuple[str, ...]:
        """Which representations the folder holds."""
        return tuple(name for name in FOLDERS if folder_of(self.folder, name).is_dir())

    @cached_property
    def skeleton(self) -> Skeleton:
        """Whose joints these are, from the first listed clip that is there; SMPL-22 where none is."""
        for name in read_names(self._split_file):
            for representation in FOLDERS:
                path = clip_file(folder_of(self.folder, representation), name)
                if path.is_file() and representation != "rotation":
                    shape = read_arrays(path).array.shape
                    recognise_shape(shape, str(path), representation)
                    of_joints = representation == "joints"
                    return (
                        skeleton_of_joints(int(np.prod(shape[1:])) // 3)
                        if of_joints
                        else skeleton_of(shape[-1])
                    )
        return SMPL22

    @cached_property
    def target_offsets(self) -> Tensor | None:
        """(J, 3) bones of the data set's uniform skeleton, in its own unit; None where it is HumanML3D's, which we know.

        KIT-ML's target clip is not distributed, but every clip of it has these bones.
        """
        if self.skeleton.bone_lengths is not None:
            return None
        known = "joints" if "joints" in self.representations else "kinematic"
        joints = convert(self.motion(0, known)[None], known, "joints").unflatten(-1, (-1, 3))[0, 0]  # (J, 3)
        lengths = (joints - joints[list(self.skeleton.parents)]).norm(dim=-1)  # (J,)
        lengths[0] = 0
        return (self.skeleton.rest_directions * lengths[:, None]).float()  # (J, 3)

    def width(self, representation: str) -> int:
        """Features of a frame, flattened, for this skeleton."""
        skeleton = self.skeleton
        return {"kinematic": skeleton.features, "joints": 3 * skeleton.joints, "rotation": ROTATION_WIDTH}[
            representation
        ]

    @cached_property
    def lengths(self) -> Tensor:
        """(N,) int64 frames of each item."""
        return torch.tensor([item.length for item in self.items])

    @cached_property
    def labels(self) -> Tensor | None:
        """(N,) int64, equal where items show the same kind of motion; None where the data set has no labels."""
        names = [item.label for item in self.items]
        if any(name is None for name in names):
            return None
        order = {name: number for number, name in enumerate(sorted({str(name) for name in names}))}
        return torch.tensor([order[str(name)] for name in names])

    @cached_property
    def groups(self) -> Tensor:
        """(N,) int64, equal where items differ in order or number of events alone; -1 for any other item."""
        known = self._index_column("group")
        names = [known.get(item.clip) or None for item in self.items]
        order = {name: number for number, name in enumerate(sorted({name for name in names if name}))}
        return torch.tensor([-1 if name is None else order[name] for name in names])

    @cached_property
    def texts(self) -> list[str]:
        """Every distinct caption of the split, sorted."""
        return sorted({caption.text for item in self.items for caption in item.captions})

    @cached_property
    def identity(self) -> str:
        """A hash of the items (names, frames, captions), of the statistics' values and of the motions.

        Where the motions are more than `fingerprints.WHOLE` bytes, three blocks of each file stand for it, and the hash
        ends in `-sampled`.
        """
        digest = hashlib.sha256(f"{self.split} {self.min_frames} {self.max_frames}\n".encode())
        for item in self.items:
            captions = "|".join(caption.text for caption in item.captions)
            digest.update(f"{item.key} {item.start} {item.end} {captions}\n".encode())
        for path in sorted(self.folder.glob("*.npy")):
            digest.update(path.read_bytes())
        clips = sorted({item.clip for item in self.items})
        folders = [folder_of(self.folder, name) for name in self.representations]
        motions = [clip_file(folder, clip) for folder in folders for clip in clips]
        contents, sampled = contents_hash([path for path in motions if path.is_file()])
        digest.update(contents.encode())
        return digest.hexdigest() + ("-sampled" if sampled else "")

    def motion(self, index: int, representation: str = "kinematic") -> Tensor:
        """Motion of an item, (T, D) float32 as stored (not normalised); joints are (T, 66).

        Raises:
            UserError: the representation is not in the folder, or the file is damaged.
        """
        item = self.items[index]
        key = (item.key, representation)
        motion = self._recent.get(key)
        if motion is None:
            motion = self._load(item, representation)
            self._recent.put(key, motion, motion.nbytes)
        return motion

    def statistics(self, representation: str = "kinematic") -> Statistics:
        """The data set's own mean and standard deviation, or where it has no files of them those of this split's clips.

        HumanML3D and KIT-ML bring those of kinematic features alone.
        """
        if any(path.is_file() for path in Statistics.files(self.folder, representation)):
            return Statistics.load(self.folder, representation)
        clips = (self.motion(item, representation) for item in range(len(self)))
        return Statistics.of_clips(clips, representation)

    def _load(self, item: Item, representation: str) -> Tensor:
        path = clip_file(folder_of(self.folder, representation), item.clip)
        if not path.is_file():
            raise UserError(
                f"{path}: missing. Complete the folder with `motionrft convert --dataset {self.folder}`."
            )
        array = read_arrays(path).array
        _check_clip(array, path, representation)
        if len(array) < item.end:
            raise UserError(
                f"{path}: {len(array)} frames, and the clip's other files have at least {item.end}. Write them anew "
                f"with `motionrft convert --dataset {self.folder}`."
            )
        return torch.from_numpy(checked_values(array[item.start : item.end], str(path))).flatten(1)

    def _read_properties(self) -> dict:
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such data set folder.")
        path = self.folder / "dataset.json"
        return read_json(path) if path.is_file() else {}

    def _read_fps(self) -> float:
        if "fps" not in self.properties:
            return self.skeleton.fps
        fps, name = self.properties["fps"], f"{self.folder / 'dataset.json'}: fps"
        if not isinstance(fps, int | float) or isinstance(fps, bool):
            raise UserError(f"{name} is {fps!r}, no number.")
        return check_fps(float(fps), name)

    @property
    def _split_file(self) -> Path:
        path = self.folder / f"{self.split}.txt"
        if not path.is_file():
            there = ", ".join(sorted(p.stem for p in self.folder.glob("*.txt"))) or "none"
            raise UserError(f"{self.folder}: no split {self.split!r} (there are: {there}).")
        return path

    def _read_items(self) -> list[Item]:
        labels = self._read_labels()
        names = read_names(self._split_file)
        return [item for name in names for item in self._items_of(name, labels.get(name))]

    def _read_labels(self) -> dict[str, str]:
        content, style = self._index_column("content"), self._index_column("style")
        return {clip: f"{content[clip]}/{style[clip]}" for clip in content} if style else {}

    def _index_column(self, name: str) -> dict[str, str]:
        """A column of `index.csv` by clip; empty where there is no such column."""
        path = self.folder / "index.csv"
        if not path.is_file():
            return {}
        columns, rows = csv_rows(path)
        if name not in columns:
            return {}
        if "clip_id" not in columns:
            raise UserError(f"{path}: no column 'clip_id'; it has {', '.join(columns)}.")
        column: dict[str, str] = {}
        for place, row in rows:
            if column.setdefault(row["clip_id"], row[name]) != row[name]:
                place.fail(f"the clip {row['clip_id']!r} is there twice, with another {name}.")
        return column

    def _items_of(self, name: str, label: str | None) -> list[Item]:
        texts = clip_file(self.folder / "texts", name, ".txt")
        frames = self._frames(name)
        if frames is None or not texts.is_file():
            return []
        captions = read_captions(texts)
        whole = tuple(caption for caption in captions if caption.whole)
        items = [Item(name, name, whole, 0, min(frames, self.max_frames), label)] if whole else []
        for caption in captions:
            if not caption.whole:
                start, end = int(caption.start * self.fps), min(int(caption.end * self.fps), frames)
                end = min(end, start + self.max_frames)
                items.append(Item(f"{name}@{start}-{end}", name, (caption,), start, end, label))
        return [item for item in items if item.length >= self.min_frames]

    def _frames(self, name: str) -> int | None:
        """Frames of a clip, from its first file that exists; None where there is none, or it holds NaN."""
        for representation in FOLDERS:
            path = clip_file(folder_of(self.folder, representation), name)
            if path.is_file():
                found = path.stat()
                frames, fault = _checked_frames(path, representation, found.st_mtime_ns, found.st_size)
                if fault is not None:
                    self.left_out.append(f"{fault} Left out.")
                return frames
        return None


@lru_cache(maxsize=1 << 20)
def _checked_frames(
    path: Path, representation: str, changed: int, size: int
) -> tuple[int | None, str | None]:
    """Frames of a clip's file as it stands, or what is not finite in it. A run opens its data set several times, and
    reads every file for this once.
    """
    array = read_arrays(path).array
    _check_clip(array, path, representation)
    try:
        check_finite(array, str(path))
    except UserError as error:
        return None, str(error)
    return len(array), None


def _check_clip(array: np.ndarray, path: Path, representation: str) -> None:
    """Raise `UserError` where an array is no single motion of a representation."""
    recognise_shape(array.shape, str(path), representation)
    if array.ndim == 4 or (array.ndim == 3 and array.shape[-1] != 3):
        raise UserError(f"{path}: shape {array.shape} is a batch; a clip of a data set is one motion.")
