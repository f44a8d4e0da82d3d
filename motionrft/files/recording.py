"""One motion: as it lies in its file (`Recording`, what formats give), and as it is read (`Motion`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TAKEN = "taken to be at "


def rate_taken(fps: float) -> str:
    """The note on a motion whose rate nobody says."""
    return f"{_TAKEN}{fps:g} fps (--source-fps decides otherwise)"


@dataclass(frozen=True)
class Motion:
    """One motion as read from a file.

    array: float32, finite, at least two frames: (T, D), or (T, J, 3) for joints. Metres, Y up.
    representation: its name, see `representations.names`.
    fps: the file's rate where it says one, otherwise the usual one: 20, KIT-ML 12.5, HY-Motion's 201 30.
    source: the file. batched: it holds a batch. index: the motion's place in it, 0 otherwise.
    name: what results are called: the file's stem, with a number for members of a batch and parts of a split motion, or
        what the file itself calls it.
    text: what the file or a table of cuts says that it shows, or None.
    notes: what was recognised on the way. warnings: what a person should look at.
    recorded: frames of the file that it was made of, before it was resampled; 0 where nobody counted.
    rest: (J, 3) rest joints of Kimodo's SMPL-X, which come with a person's own model; other skeletons' are known.
    """

    array: np.ndarray
    representation: str
    fps: float
    source: Path
    index: int = 0
    batched: bool = False
    name: str = ""
    text: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    recorded: int = 0
    rest: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.array)

    @property
    def rate_note(self) -> str | None:
        """What is said of its rate where nobody says it, and the usual one was taken."""
        return next((note for note in self.notes if note.startswith(_TAKEN)), None)

    @property
    def label(self) -> str:
        """What messages call it: the file, and which of its motions."""
        return str(self.source) if self.name in ("", self.source.stem) else f"{self.source}: {self.name}"


@dataclass(frozen=True)
class Recording:
    """One motion of a file, as a format found it.

    path: the file. representation, fps, frames: of what `take` gives.
    take: (first frame, one after the last, wanted fps or None) -> (T, ...) in the file's axes and unit, resampled.
    joints: frame numbers -> (N, 22, 3) joints in the file's axes and unit, to look at; None where it has no such.
    unit: metres where the format says so; None where it must be told from the body. usual_unit: what such files have
        where the body does not tell, None: what comes nearest. up: what such files have up.
    turnable: whether its values may be turned; features that are relative to the ground may not.
    says_rate: whether the file says its rate, or the data set it lies in.
    kept_unit: another unit that such files may have, in which they stay, as KIT-ML's joints stay in millimetres.
    at_rest: so many first frames are the skeleton's rest pose.
    name: what the file calls it, where it names its motions; None: as the file, with its number in a batch.
    """

    path: Path
    representation: str
    fps: float
    frames: int
    take: Callable[[int, int, float | None], np.ndarray]
    joints: Callable[[np.ndarray], np.ndarray] | None = None
    unit: str | None = "metres"
    usual_unit: str | None = None
    up: str = "y"
    turnable: bool = True
    says_rate: bool = False
    at_rest: int = 0
    index: int = 0
    batched: bool = False
    text: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    name: str | None = None
    kept_unit: str | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        if self.name is not None:
            return f"{self.path}: {self.name}"
        return f"{self.path}: motion {self.index}" if self.batched else str(self.path)
