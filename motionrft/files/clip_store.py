"""Where the clips of a data set lie, whatever the layout: the one place that all who read a data set ask."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays
from motionrft.files.checks import check_finite, recognise_shape
from motionrft.files.clip_names import clip_file
from motionrft.files.dataset_layout import FOLDERS, SHARD_INDEX, TEXTS, folder_of
from motionrft.parsing import filled_lines
from motionrft.representations.names import JOINTS
from motionrft.training.fingerprints import contents_hash

Lines = list[tuple[int, str]]
"""Numbered lines of a clip's captions, as HumanML3D writes them; none is blank."""


class ClipStore(ABC):
    """Motions and captions of a data set by the names of its clips; nothing is kept of what was read.

    root: the data set's folder. representations: those that it holds, in the order of `FOLDERS`.
    """

    def __init__(self, root: Path, representations: Sequence[str]) -> None:
        self.root, self.representations = root, tuple(representations)

    @abstractmethod
    def has(self, clip: str, representation: str | None = None) -> bool:
        """Whether a clip is there in a representation; without one, whether it has a list of captions."""

    @abstractmethod
    def any_shape(self, representation: str) -> tuple[int, ...] | None:
        """The shape of some motion in a representation; None where there is none."""

    @abstractmethod
    def shape(self, clip: str, representation: str) -> tuple[int, ...] | None:
        """(T, D), or (T, J, 3) for joints; None where the clip does not have this representation.

        Raises:
            UserError: what lies there is no single motion of it.
        """

    @abstractmethod
    def read(self, clip: str, representation: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Frames [start, stop) as they are stored; fewer where the clip ends before.

        Raises:
            UserError: it is not there, or damaged.
        """

    def raw(self, clip: str, representation: str) -> np.ndarray:
        """The whole array as it lies there, whatever its shape."""
        return self.read(clip, representation)

    @abstractmethod
    def lines(self, clip: str) -> Lines | None:
        """The clip's captions; None where it has no list of them."""

    @abstractmethod
    def place(self, clip: str, representation: str | None = None) -> str:
        """What messages call a motion, or without a representation the captions."""

    @abstractmethod
    def frames(self, clip: str) -> tuple[int | None, str | None]:
        """Frames in the first representation that the clip has, or a sentence on what in them is not finite.

        None and None: the clip is not there.

        Raises:
            UserError: it is no motion.
        """

    @abstractmethod
    def stamp(self, clips: Iterable[str]) -> str:
        """Changes when these clips' first motions or captions are written anew; costs a look at each file."""

    @abstractmethod
    def contents(self, clips: Sequence[str]) -> tuple[str, bool]:
        """A hash over the motions of these clips, and whether it saw samples of them alone."""

    def first_shape(self, clips: Iterable[str]) -> tuple[str, tuple[int, ...]] | None:
        """The first of these clips that has features or joints: which of them, and its shape."""
        for clip in clips:
            for representation in self.representations:
                found = None if representation == "rotation" else self.shape(clip, representation)
                if found is not None:
                    return representation, found
        return None


class LooseClips(ClipStore):
    """HumanML3D's and KIT-ML's layout: a `.npy` a clip and representation, a text file a clip.

    A motion's file is read when it is asked for, and not mapped: a mapped file that shrinks kills the process.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root, [name for name in FOLDERS if folder_of(root, name).is_dir()])
        self._folders = {name: folder_of(root, name) for name in FOLDERS}

    def path(self, clip: str, representation: str) -> Path:
        """Its file, which need not exist."""
        return clip_file(self._folders[representation], clip)

    def has(self, clip: str, representation: str | None = None) -> bool:
        path = self._texts(clip) if representation is None else self.path(clip, representation)
        return path.is_file()

    def any_shape(self, representation: str) -> tuple[int, ...] | None:
        place = self._folders[representation]
        path = next((each for each in sorted(place.iterdir()) if each.suffix == ".npy"), None)
        return None if path is None else tuple(self._array(path, representation).shape)

    def shape(self, clip: str, representation: str) -> tuple[int, ...] | None:
        path = self.path(clip, representation)
        return tuple(self._array(path, representation).shape) if path.is_file() else None

    def read(self, clip: str, representation: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        path = self.path(clip, representation)
        if not path.is_file():
            raise UserError(
                f"{path}: missing. Complete the folder with `motionrft convert --dataset {self.root}`."
            )
        return self._array(path, representation)[start:stop]

    def raw(self, clip: str, representation: str) -> np.ndarray:
        return read_arrays(self.path(clip, representation)).array

    def lines(self, clip: str) -> Lines | None:
        path = self._texts(clip)
        return list(filled_lines(path)) if path.is_file() else None

    def place(self, clip: str, representation: str | None = None) -> str:
        return str(self._texts(clip) if representation is None else self.path(clip, representation))

    def frames(self, clip: str) -> tuple[int | None, str | None]:
        for representation in self.representations:
            path = self.path(clip, representation)
            if path.is_file():
                array = self._array(path, representation)
                try:
                    check_finite(array, str(path))
                except UserError as error:
                    return None, str(error)
                return len(array), None
        return None, None

    def stamp(self, clips: Iterable[str]) -> str:
        digest = hashlib.sha256()
        for clip in clips:
            motions = (self.path(clip, name) for name in self.representations)
            found = next((stat for path in motions if (stat := stat_of(path)) is not None), "none")
            digest.update(f"{found} {stat_of(self._texts(clip))}\n".encode())
        return digest.hexdigest()

    def contents(self, clips: Sequence[str]) -> tuple[str, bool]:
        return contents_hash(_Motions(self, clips))

    def _texts(self, clip: str) -> Path:
        return clip_file(self.root / TEXTS, clip, ".txt")

    def _array(self, path: Path, representation: str) -> np.ndarray:
        array = read_arrays(path).array
        check_single(array.shape, str(path), representation)
        return array


class _Motions:
    """The motion files of some clips, one after the other as often as it is asked for: no list of a million paths."""

    def __init__(self, store: LooseClips, clips: Sequence[str]) -> None:
        self.store, self.clips = store, clips

    def __iter__(self) -> Iterator[Path]:
        for representation in self.store.representations:
            for clip in self.clips:
                path = self.store.path(clip, representation)
                if path.is_file():
                    yield path


def holds_motions(root: Path) -> bool:
    """Whether there is any motion of a data set in a folder."""
    return (root / SHARD_INDEX).is_file() or any(folder_of(root, name).is_dir() for name in FOLDERS)


def check_single(shape: tuple[int, ...], name: str, representation: str) -> None:
    """Raise `UserError` where a shape is that of no single motion of a representation."""
    recognise_shape(shape, name, representation)
    if len(shape) == 4 or (len(shape) == 3 and shape[-1] != 3):
        raise UserError(f"{name}: shape {shape} is a batch; a clip of a data set is one motion.")


def width_of(representation: str, shape: tuple[int, ...]) -> int:
    """Joints of a joint motion's shape, (T, J, 3) or (T, 3 J); values a frame of any other."""
    values = int(np.prod(shape[1:]))
    return values // 3 if representation == JOINTS else values


def stat_of(path: Path) -> str | None:
    """When a file was written, and its size; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return f"{found.st_mtime_ns} {found.st_size}"
