"""What a motion file format is: how a file of it is recognised, read and written.

A format is one object in a file of its own and one line in `motionrft.registry.FORMATS` (or an entry point of the group
`motionrft.formats`). Reading gives `Recording`s in the file's own axes and unit: rates, parts, units and the up axis are
the same for all and not a format's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from motionrft.errors import UserError
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Recording

if TYPE_CHECKING:
    from motionrft.files.recording import Motion

_SNIFFED = 4096


@dataclass(frozen=True)
class FileFault:
    """A file that could not be read, and the sentence that says why (it names the file)."""

    source: Path
    message: str


class OpenedFile:
    """A file that formats look at in turn: what one of them has read, the next need not read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.suffix = path.suffix.lower()

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        with open(self.path, "rb") as file:
            return file.read(_SNIFFED)

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        """What an array file holds, by name; a bare array has the name "". Texts and numbers of pickles are there too.

        Raises:
            UserError: empty, truncated, a web page, a pickle that would run code, a bomb, or not what its name says.
        """
        from motionrft.files.arrays import read_members

        return read_members(self.path)

    def array(self, name: str) -> np.ndarray | None:
        """A member that is an array of numbers, or None."""
        value = self.arrays.get(name)
        return value if isinstance(value, np.ndarray) and value.dtype.kind in "iufb" else None


@dataclass(frozen=True)
class WritingOptions:
    """How files are written; a format takes what concerns it.

    unit: of BVH files, a key of `units.UNITS`. rest: how their rest pose stands, see `bvh_writer.Rest`. positions: joints
        whose bones stretch get position channels in them, instead of constant bones.
    """

    unit: str = "centimetres"
    rest: Literal["standing", "origin", "pelvis", "t-pose"] = "standing"
    positions: bool = False


@dataclass(frozen=True)
class Written:
    """How well a file holds a motion: millimetres by which its joints are off, in the mean and at worst."""

    mean_mm: float = 0.0
    worst_mm: float = 0.0


class MotionFormat(ABC):
    """One format. Final classes only; what varies is in the file.

    name: as `--to` and lists call it. suffixes: of files that may be of it, small letters, the first one is written.
    shared: whether other things than motions have these suffixes, so that a folder's files are looked into.
    writes: whether `write` is there. takes_features: whether it tells more of a generator's own features than of joints.
    names_motions: whether its files hold many motions and call each by a name, see `names`.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    shared: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    takes_features: ClassVar[bool] = False
    names_motions: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, file: OpenedFile) -> bool:
        """Whether a file with one of the suffixes is of this format, by what it holds."""

    @abstractmethod
    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        """The motions of a file, in order, with a `FileFault` in place of a bad member of a batch.

        Raises:
            UserError: the file is damaged.
        """

    def names(self, file: OpenedFile) -> Sequence[str]:
        """What the file calls its motions, where `names_motions`; a name may hold slashes, and leads nowhere else."""
        return ()

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> Written | None:
        """Write a motion, whole or not at all; says how well, None where it is all there.

        Raises:
            UserError: this format is only read, or the motion cannot be told in it.
        """
        raise UserError(f"{path}: {self.name} files are read, not written.")
