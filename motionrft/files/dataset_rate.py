"""The frame rate that a data set says of its clips, for the data set and for each of its files by itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.files.checks import check_fps
from motionrft.files.dataset_layout import ALSO, CARD, FOLDERS, SAMPLING, SHARDS
from motionrft.parsing import read_json

_CLIPS = {*FOLDERS.values(), *ALSO.values(), SHARDS}


def rate_said(properties: Mapping[str, Any], source: Path) -> float | None:
    """Frames a second; None where nothing is said.

    Raises:
        UserError: it is no rate; `source` is named.
    """
    if "fps" not in properties:
        return None
    fps, name = properties["fps"], f"{source}: fps"
    if not isinstance(fps, int | float) or isinstance(fps, bool):
        raise UserError(f"{name} is {fps!r}, no number.")
    return check_fps(float(fps), name)


def rate_beside(path: Path) -> float | None:
    """What the data set says whose clip, or shard, a file is, or the folder of samples that it lies in; None where it is
    none, or nothing is said.

    Raises:
        UserError: as `rate_said`, or the data set's own file is damaged.
    """
    samples = path.parent / SAMPLING
    if samples.is_file():
        return rate_said(read_json(samples), samples)
    for folder in path.absolute().parents:
        source = folder.parent / CARD
        if folder.name in _CLIPS and source.is_file():
            return rate_said(read_json(source), source)
    return None
