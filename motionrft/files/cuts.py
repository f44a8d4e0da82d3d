"""Which parts of which files: a table of file, start, end and caption, or HumanML3D's index."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from motionrft.errors import UserError
from motionrft.parsing import Place, csv_rows

_COLUMNS = {
    "file": ("file", "source_path", "path", "clip_id"),
    "start": ("start", "start_frame"),
    "end": ("end", "end_frame"),
    "caption": ("caption", "text"),
    "name": ("name", "new_name"),
}
_INDEX_FPS = 20.0
"""Rate of the frames in HumanML3D's index."""
_HEADS = {
    "Eyes_Japan_Dataset": 3.0,
    "MPI_HDM05": 3.0,
    "TotalCapture": 1.0,
    "MPI_Limits": 1.0,
    "Transitions_mocap": 0.5,
}
"""Seconds that HumanML3D takes off in front of a subset's files before its index counts."""


@dataclass(frozen=True)
class Cut:
    """A part of a file. start, end: seconds; end None is the file's. name: of the result; caption: what it shows.

    indexed: the seconds come from frames of HumanML3D's index, which are every int(fps / 20)th of the file's.
    """

    start: float = 0.0
    end: float | None = None
    name: str | None = None
    caption: str | None = None
    indexed: bool = False

    def frames(self, count: int, fps: float) -> tuple[int, int]:
        """First frame and the one after the last, of a file of `count` frames at `fps`."""
        rate = fps
        if (
            self.indexed
        ):  # what is one in 20 fps there is one in 20.8 where the file has 250, and in 30 where it has 30
            rate = _INDEX_FPS * max(1, int(fps / _INDEX_FPS))
        start = round(self.start * rate)
        stop = count if self.end is None else min(count, round(self.end * rate))
        return start, stop


def read_cuts(path: Path) -> dict[str, tuple[Cut, ...]]:
    """Cuts by file, as the table names it (without its suffix, with / between folders).

    Columns: file, start and end in seconds (start_frame and end_frame: at 20 a second), and optionally caption and
    name. HumanML3D's index (source_path, start_frame, end_frame, new_name) is read as its authors' scripts do: some
    subsets lose a few seconds in front first.

    Raises:
        UserError: a column is missing, or a number is none.
    """
    columns, rows = csv_rows(path)
    column = {
        what: next((name for name in names if name in columns), None) for what, names in _COLUMNS.items()
    }
    if column["file"] is None:
        raise UserError(
            f"{path}: no column file; it has {', '.join(columns)}. Legal: file, start, end, caption."
        )
    found: dict[str, list[Cut]] = {}
    for place, row in rows:
        cells = {what: row[name].strip() for what, name in column.items() if name is not None}
        key = _key(cells["file"])
        found.setdefault(key, []).append(_cut(cells, column, key, place))
    return {key: tuple(cuts) for key, cuts in found.items()}


def _cut(cells: Mapping[str, str], column: Mapping[str, str | None], key: str, place: Place) -> Cut:
    times = []
    for what in ("start", "end"):
        in_frames = (column[what] or "").endswith("_frame")
        value = _number(cells.get(what, ""), what, place)
        times.append(value / _INDEX_FPS if value is not None and in_frames else value)
    start, end = times[0] or 0.0, times[1]
    end = None if end is not None and end < 0 else end
    if column["file"] == "source_path":
        head = next((seconds for subset, seconds in _HEADS.items() if subset in key.split("/")), 0.0)
        start, end = start + head, None if end is None else end + head
    if end is not None and end <= start:
        place.fail(f"ends at {end:g} s, before its start at {start:g} s.")
    name = PurePosixPath(cells["name"].replace("\\", "/")).stem if cells.get("name") else None
    indexed = column["start"] == "start_frame" or column["end"] == "end_frame"
    return Cut(start, end, name, cells.get("caption") or None, indexed)


def _number(text: str, what: str, place: Place) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        place.fail(f"{what} is {text[:40]!r}, not a number.")
    if not math.isfinite(value):
        place.fail(f"{what} is {text[:40]}, not a number.")
    return value


def _key(file: str) -> str:
    path = PurePosixPath(file.replace("\\", "/"))
    return str(path.with_suffix("")) if path.suffix else str(path)


def cuts_of(path: Path, cuts: Mapping[str, tuple[Cut, ...]]) -> tuple[Cut, ...]:
    """The cuts of a file: those whose table entry is the end of its path, the longest such entry."""
    parts = path.with_suffix("").parts
    for start in range(len(parts)):
        ending = "/".join(parts[start:])
        if found := cuts.get(ending) or cuts.get(f"./{ending}"):
            return found
    tails = {_tail(key): key for key in cuts}
    match = next(
        (tails[ending] for start in range(len(parts)) if (ending := "/".join(parts[start:])) in tails), None
    )
    return cuts[match] if match is not None else ()


def _tail(key: str) -> str:
    """An index's path without the folder of its makers: `./pose_data/KIT/3/kick_poses` is `KIT/3/kick_poses`."""
    return key.removeprefix("./").removeprefix("pose_data/")


def not_found(cuts: Iterable[str], files: Iterable[Path]) -> list[str]:
    """Entries of a table that none of the files is."""
    have = {
        "/".join(path.with_suffix("").parts[start:]) for path in files for start in range(len(path.parts))
    }
    return [key for key in cuts if key not in have and _tail(key) not in have]
