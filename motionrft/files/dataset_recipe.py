"""What a data set is made of, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from motionrft.files.composition import CompositionRecipe
from motionrft.files.formats.base import FileFault
from motionrft.files.reading import ReadingOptions

Layout = Literal["folders", "shards"]
"""HumanML3D's, a file a clip and representation; or `shards.json` and large files of many clips each."""
DEFAULT_MIN_FRAMES = 16
"""Shortest clip that is kept, frames of features."""


@dataclass(frozen=True)
class DatasetRecipe:
    """What a data set folder is made of.

    motions: folders of motion files, tar archives of them, or the files themselves.
    captions: JSON lines `{"clip_id": ..., "captions": [...]}`; None where a table of cuts (in `reading`) has them.
    splits: CSV with a column `clip_id` and `split_column`; all its columns travel into `index.csv`.
    fps: rate of the data set; every motion is resampled to it. reading: how the files are read.
    layout: how the clips lie in the folder.
    min_frames: clips with fewer frames of features are left out, and listed.
    compose: clips of two events and of repeated ones to add, from the clips of each split; `content` names the kinds.
    """

    motions: tuple[Path, ...]
    captions: Path | None
    splits: Path
    split_column: str = "split"
    fps: float = 20.0
    min_frames: int = DEFAULT_MIN_FRAMES
    mirror: bool = False
    licence: str = ""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    jobs: int = 1
    layout: Layout = "folders"
    compose: CompositionRecipe | None = None


@dataclass
class DatasetReport:
    """What was built: counts, and the clips that are not in it with the reason for each.

    shortfalls: sentences on composed clips that were asked for and could not be made.
    """

    clips: int = 0
    composed: int = 0
    frames: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    too_short: list[str] = field(default_factory=list)
    without_captions: list[str] = field(default_factory=list)
    faults: list[FileFault] = field(default_factory=list)
    shortfalls: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Everything, for JSON."""
        left_out = {"too_short": self.too_short, "without_captions": self.without_captions}
        unreadable = [fault.message for fault in self.faults]
        return {
            "clips": self.clips,
            **({"composed": self.composed} if self.composed else {}),
            **({"shortfalls": self.shortfalls} if self.shortfalls else {}),
            "frames": self.frames,
            "splits": self.splits,
            "left_out": left_out | {"unreadable": unreadable},
        }
