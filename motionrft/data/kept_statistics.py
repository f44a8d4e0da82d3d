"""Statistics that need every clip of a data set, kept under its identity: the next run on it begins at once."""

import json
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from motionrft.errors import RunError, UserError
from motionrft.parsing import parsing, read_json
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import write_text
from motionrft.training.cache_folder import cache_folder
from motionrft.training.fingerprints import file_hash, text_hash

log = logging.getLogger(__name__)

FOLDER = "statistics"
"""Below the cache folder."""
_CODE = ("representations/**/*.py", "rotations.py", "skeleton.py")
"""What statistics are computed by: of another version they are other ones."""


def kept_statistics(identity: str, what: str, compute: Callable[[], Statistics]) -> Statistics:
    """What `compute` returned when it was asked for the same before, to the bit; otherwise it is asked now.

    Args:
        identity: of the clips; changes when one of them does. what: of them the statistics are, in words.
    """
    path = cache_folder() / FOLDER / f"{text_hash(_code(), identity, what)[:32]}.json"
    known = _read(path)
    if known is None:
        known = compute()
        _write(path, known)
    return known


@cache
def _code() -> str:
    root = Path(__file__).parent.parent
    return text_hash(*(file_hash(path) for pattern in _CODE for path in sorted(root.glob(pattern))))


def _read(path: Path) -> Statistics | None:
    """None where there are none that could be read."""
    if not path.is_file():
        return None
    try:
        found = read_json(path)
        with parsing(path, "statistics") as place:
            mean, std = (torch.tensor(found[name], dtype=torch.float32) for name in ("mean", "std"))
            if found["sum"] != _sum(found["mean"], found["std"]):
                place.fail("it does not fit its checksum.")
    except UserError as error:
        log.warning("%s: damaged, statistics are computed again (%s)", path, error)
        return None
    return Statistics(mean, std)


def _write(path: Path, statistics: Statistics) -> None:
    mean, std = statistics.mean.tolist(), statistics.std.tolist()
    try:
        write_text(path, json.dumps({"mean": mean, "std": std, "sum": _sum(mean, std)}))
    except (UserError, RunError, OSError) as error:  # full, read-only, a file where a folder should be
        log.warning("%s: statistics are not kept (%s)", path.parent, error)


def _sum(mean: list[float], std: list[float]) -> str:
    return text_hash(str(mean), str(std))
