"""What motions and data sets are, by looking: every motion file is read, of a data set the lists and the first clip."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from motionrft.checking.found import Found, faulty, licence, on_disk
from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays
from motionrft.files.clip_names import read_names
from motionrft.files.clip_store import ClipStore, LooseClips, holds_motions
from motionrft.files.dataset_layout import FOLDERS
from motionrft.files.formats.base import FileFault, OpenedFile
from motionrft.files.formats.table import format_of
from motionrft.files.layouts import usual_fps
from motionrft.files.motions import doubt, stream_motions
from motionrft.files.reading import ReadingOptions
from motionrft.files.shards import open_clips
from motionrft.parsing import parsing, read_json
from motionrft.representations.statistics import Statistics

MOTION, DATA = "motion", "data set"
_TOLD = 3


def motion_file(path: Path) -> Found:
    """A file that holds one motion, or several: each is read."""
    read = list(stream_motions(path, ReadingOptions()))
    motions = [found for found in read if not isinstance(found, FileFault)]
    problem = next((found.message for found in read if isinstance(found, FileFault)), None)
    if not motions:
        return Found(path, MOTION, {}, problem)
    first, lengths = motions[0], [len(motion) for motion in motions]
    facts: dict[str, Any] = {
        "format": format_of(OpenedFile(path)).name,
        "representation": first.representation,
        "values_a_frame": int(np.prod(first.array.shape[1:])),
        "motions": len(motions),
        "frames": lengths[0] if len(lengths) == 1 else [min(lengths), max(lengths)],
        "fps": first.fps,
        "seconds": round(sum(lengths) / first.fps, 3),
    }
    if first.text:
        facts["text"] = first.text
    said = [*first.notes, *([doubtful] if (doubtful := doubt(first)) else [])]
    return Found(path, MOTION, facts | ({"notes": said} if said else {}) | on_disk(path), problem)


def is_data_set(folder: Path) -> bool:
    """Whether a folder has motions of a data set where HumanML3D has them, or says itself that it is one."""
    return (folder / "dataset.json").is_file() or holds_motions(folder)


def data_set(folder: Path) -> Found:
    """A folder in HumanML3D's layout: splits, width, rate, statistics, and which listed files are missing."""
    try:
        facts = data_facts(folder)
    except UserError as error:
        return faulty(folder, DATA, error)
    return Found(folder, DATA, facts, _gap(folder, facts))


def data_facts(folder: Path) -> dict[str, Any]:
    """What is known of a data set without reading its motions; raises `UserError` for a damaged list or first clip."""
    properties = read_json(folder / "dataset.json") if (folder / "dataset.json").is_file() else {}
    if not holds_motions(folder):
        raise UserError(f"{folder}: has no {', '.join(FOLDERS.values())}: no motion of a data set.")
    clips = open_clips(folder)
    representations = list(clips.representations)
    shapes = {name: shape for name in representations if (shape := clips.any_shape(name))}
    widths = {name: int(np.prod(shape[1:])) for name, shape in shapes.items()}
    kinematic = widths.get("kinematic") or _features_of(widths.get("joints"))
    splits = {path.stem: _split(clips, read_names(path)) for path in sorted(folder.glob("*.txt"))}
    return {
        "name": properties.get("name", folder.name),
        "representations": representations,
        "values_a_frame": widths,
        "skeleton": None if kinematic is None else ("KIT-ML" if kinematic == 251 else "HumanML3D"),
        "layout": "folders" if isinstance(clips, LooseClips) else "shards",
        "fps": properties.get("fps") or usual_fps("kinematic", kinematic or 263),
        "splits": {name: found["clips"] for name, found in splits.items()},
        "missing": {name: found["missing"] for name, found in splits.items() if found["missing"]},
        "statistics": [name for name in representations if _has_statistics(folder, name)] or "none, computed",
        "licence": licence(folder),
    }


def statistics_file(path: Path) -> Found:
    """`Mean.npy` or `Std.npy`."""
    try:
        with parsing(path, "statistics"):
            array = read_arrays(path).array
    except UserError as error:
        return faulty(path, "statistics", error)
    return Found(path, "statistics", {"values": int(array.size)})


def is_statistics(path: Path) -> bool:
    """Whether a file is called as the field calls statistics."""
    return path.suffix == ".npy" and path.stem.lower().partition("_")[0] in ("mean", "std")


def _features_of(joints: int | None) -> int | None:
    return None if joints is None else (251 if joints == 63 else 263)


def _split(clips: ClipStore, names: list[str]) -> dict[str, Any]:
    """How many clips a list names, and which of them lack their motion or their captions."""
    motions = clips.representations[0]
    missing = [name for name in names if not (clips.has(name, motions) and clips.has(name))]
    return {"clips": len(names), "missing": missing}


def _has_statistics(folder: Path, representation: str) -> bool:
    return all(path.is_file() for path in Statistics.files(folder, representation))


def _gap(folder: Path, facts: Mapping[str, Any]) -> str | None:
    """What a run would stumble over: no list, an empty one, or one that names nothing that is there."""
    if not facts["splits"]:
        return f"{folder}: no list of clips (train.txt, val.txt, test.txt)."
    for name, missing in facts["missing"].items():
        if len(missing) == facts["splits"][name]:
            shown = ", ".join(missing[:_TOLD])
            return f"{folder}: {name}.txt names no clip that has a motion and captions here ({shown}, …)."
    return None
