"""A data set folder in HumanML3D's layout: clips of a split, their captions, labels, motions and statistics."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from motionrft.data.ahead import ReadAhead
from motionrft.data.items import Item, Items
from motionrft.data.kept_statistics import kept_statistics
from motionrft.data.opening import index_columns, open_split
from motionrft.errors import UserError
from motionrft.files.checks import checked_values
from motionrft.files.clip_names import read_names
from motionrft.files.clip_store import ClipStore, width_of
from motionrft.files.dataset_layout import CARD
from motionrft.files.dataset_rate import rate_said
from motionrft.files.shards import open_clips
from motionrft.parsing import read_json
from motionrft.representations.convert import convert
from motionrft.representations.kinematic import skeleton_of, skeleton_of_joints
from motionrft.representations.names import JOINTS
from motionrft.representations.statistics import Statistics
from motionrft.skeleton import SMPL22, Skeleton
from motionrft.training.recent import Recent

DEFAULT_FPS = 20.0
HELD = 128 * 2**20
"""Bytes of motion kept in memory; the rest stays in its files: HumanML3D's training split is 9 GB in three layouts."""


ROTATION_WIDTH = 135

log = logging.getLogger(__name__)
_SAMPLED = "-sampled"
_TOLD = 3
"""Clips that are named where several are left out."""


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
        self.clips: ClipStore = open_clips(self.folder)
        self.fps = self._read_fps()
        found = open_split(self.clips, self._split_file, self.fps, min_frames, max_frames)
        self.items: Items = found.items
        self.left_out: tuple[str, ...] = found.left_out
        for sentence in self.left_out[:_TOLD]:
            log.warning("%s", sentence)
        if len(self.left_out) > _TOLD:
            log.warning("%s: %d more clips left out.", self.folder, len(self.left_out) - _TOLD)
        if not self.items:
            raise UserError(
                f"{self.folder}: split {split!r} has no clip of at least {min_frames} frames with a caption."
            )
        self._recent: Recent[tuple[str, str], Tensor] = Recent(HELD)
        self._holding = threading.Lock()
        self._ahead: ReadAhead[tuple[int, str]] = ReadAhead(lambda wanted: self.motion(*wanted))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def representations(self) -> tuple[str, ...]:
        """Which representations the folder holds."""
        return self.clips.representations

    @cached_property
    def skeleton(self) -> Skeleton:
        """Whose joints these are, from the first listed clip that is there; SMPL-22 where none is."""
        found = self.clips.first_shape(read_names(self._split_file))
        if found is None:
            return SMPL22
        width = width_of(*found)
        return skeleton_of_joints(width) if found[0] == JOINTS else skeleton_of(width)

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
        return self.items.lengths

    @cached_property
    def labels(self) -> Tensor | None:
        """(N,) int64, equal where items show the same kind of motion; None where the data set has no labels."""
        return self.items.labels

    @cached_property
    def groups(self) -> Tensor:
        """(N,) int64, equal where items differ in order or number of events alone; -1 for any other item."""
        known = index_columns(self.folder, ("group",)).get("group", {})
        names = [known.get(self.items.clip(number)) or None for number in range(len(self))]
        order = {name: number for number, name in enumerate(sorted({name for name in names if name}))}
        return torch.tensor([-1 if name is None else order[name] for name in names])

    @property
    def texts(self) -> list[str]:
        """Every distinct caption of the split, sorted."""
        return sorted(set(self.items.texts))

    @cached_property
    def identity(self) -> str:
        """A hash of the items (names, frames, captions), of the statistics' values and of the motions.

        Where the motions are more than `fingerprints.WHOLE` bytes, three blocks of each file stand for it, and the hash
        ends in `-sampled`; of more than `fingerprints.MANY` files every size counts and some are looked into.
        """
        digest = hashlib.sha256(f"{self.split} {self.min_frames} {self.max_frames}\n".encode())
        for item in self.items:
            captions = "|".join(caption.text for caption in item.captions)
            digest.update(f"{item.key} {item.start} {item.end} {captions}\n".encode())
        for path in sorted(self.folder.glob("*.npy")):
            digest.update(path.read_bytes())
        contents, sampled = self.clips.contents(sorted(self.items.clips))
        digest.update(contents.encode())
        return digest.hexdigest() + (_SAMPLED if sampled else "")

    @property
    def strict_identity(self) -> str:
        """`identity`, and where samples stand for the motions what the system says of the files: of no change unseen."""
        known = self.identity
        return known + self.clips.stamp(list(self.items.clips)) if known.endswith(_SAMPLED) else known

    def motion(self, index: int, representation: str = "kinematic") -> Tensor:
        """Motion of an item, (T, D) float32 as stored (not normalised); joints are (T, 66).

        Raises:
            UserError: the representation is not in the folder, or the file is damaged.
        """
        item = self.items[index]
        key = (item.key, representation)
        with self._holding:
            motion = self._recent.get(key)
        if motion is None:
            motion = self._load(item, representation)
            with self._holding:
                self._recent.put(key, motion, motion.nbytes)
        return motion

    def read(self, index: int, representation: str = "kinematic") -> Tensor:
        """As `motion`, but not kept in memory: for who goes through all of them once."""
        return self._load(self.items[index], representation)

    def expect(self, items: Iterable[int] | Tensor, representations: Iterable[str] = ("kinematic",)) -> None:
        """Have a thread read these items (B,), which are asked for next."""
        numbers = items.tolist() if isinstance(items, Tensor) else items
        self._ahead.expect(product(numbers, representations))

    def statistics(self, representation: str = "kinematic") -> Statistics:
        """The data set's own mean and standard deviation, or where it has no files of them those of this split's clips.

        HumanML3D and KIT-ML bring those of kinematic features alone.
        """
        if any(path.is_file() for path in Statistics.files(self.folder, representation)):
            return Statistics.load(self.folder, representation)
        clips = (self.read(item, representation) for item in range(len(self)))
        return self.kept_statistics(representation, lambda: Statistics.of_clips(clips, representation))

    def kept_statistics(self, what: str, compute: Callable[[], Statistics]) -> Statistics:
        """Statistics of this split's clips that were computed here before, or are now; `what` says of what in words."""
        return kept_statistics(self.strict_identity, what, compute)

    def _load(self, item: Item, representation: str) -> Tensor:
        array = self.clips.read(item.clip, representation, item.start, item.end)
        place = self.clips.place(item.clip, representation)
        if len(array) < item.length:
            raise UserError(
                f"{place}: {item.start + len(array)} frames, and the clip's other files have at least {item.end}. "
                f"Write them anew with `motionrft convert --dataset {self.folder}`."
            )
        return torch.from_numpy(checked_values(array, place)).flatten(1)

    def _read_properties(self) -> dict:
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such data set folder.")
        path = self.folder / CARD
        return read_json(path) if path.is_file() else {}

    def _read_fps(self) -> float:
        said = rate_said(self.properties, self.folder / CARD)
        return self.skeleton.fps if said is None else said

    @property
    def _split_file(self) -> Path:
        path = self.folder / f"{self.split}.txt"
        if not path.is_file():
            there = ", ".join(sorted(p.stem for p in self.folder.glob("*.txt"))) or "none"
            raise UserError(f"{self.folder}: no split {self.split!r} (there are: {there}).")
        return path
