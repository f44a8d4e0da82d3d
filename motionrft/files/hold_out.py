"""One class of motion held out of a data set: lists to train without it, to tune on it, and to test on it.

For experiments that leave a class out: a generator is trained from scratch on `train-without-NAME`, tuned on the
captions of `tune-NAME`, and judged on `test-NAME`. The lists lie beside `train.txt`; no motion is touched.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.clip_names import read_names
from motionrft.files.clip_store import Lines
from motionrft.files.dataset_layout import PART, PARTS
from motionrft.files.shards import open_clips
from motionrft.parsing import csv_stream

CAPTION = "caption"
"""As a key: the class is what some caption says."""
LISTS = {
    "train-without": ("train", False),
    "val-without": ("val", False),
    "tune": ("train", True),
    "test": ("test", True),
}
"""Prefix of a list: the split that it is taken from, and whether it holds the class or all else."""
_HELD_OUT = re.compile(rf"({'|'.join(LISTS)})-[\w-]+\.txt")


@dataclass(frozen=True)
class HeldOutClass:
    """`key=value`: a column of `index.csv` and what it says, or `caption` and a word or more of some caption.

    A composed clip is of the class where a clip is that it was made of.

    A word stands for its usual forms: `kick` is in a caption of kicks, kicked or kicking.
    """

    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "HeldOutClass":
        """Read `content=kick`.

        Raises:
            UserError: there is no `=`, or nothing on one side of it.
        """
        key, _, value = (part.strip() for part in text.partition("="))
        if not key or not value:
            raise UserError(f"--hold-out {text!r}: give KEY=VALUE, as content=kick or caption=kick.")
        return cls(key, value)

    @property
    def slug(self) -> str:
        """The value as a part of file names."""
        return re.sub(r"\W+", "-", self.value.lower()).strip("-")


def is_hold_out_list(name: str) -> bool:
    """Whether a file of that name is a list that `hold_out` writes."""
    return _HELD_OUT.fullmatch(name) is not None


def hold_out(folder: Path, held: HeldOutClass) -> dict[str, int]:
    """Write the four lists of a class; returns the clips of each by the list's name (what `--split` takes).

    Raises:
        UserError: the data set lacks a split or the column, or no clip of its training or test split is of the class.
    """
    belongs = _membership(folder, held)
    lists: dict[str, list[str]] = {}
    for prefix, (split, wanted) in LISTS.items():
        source = folder / f"{split}.txt"
        if not source.is_file():
            raise UserError(f"{folder}: no {source.name}, which --hold-out divides.")
        lists[f"{prefix}-{held.slug}"] = [clip for clip in read_names(source) if belongs(clip) == wanted]
    for prefix in ("tune", "test", "train-without"):
        if not lists[f"{prefix}-{held.slug}"]:
            what = "nothing else than" if prefix == "train-without" else "no"
            raise UserError(
                f"{folder}: {what} clip with {held.key}={held.value} in {LISTS[prefix][0]}.txt: nothing is held out."
            )
    for name, clips in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8")
    return {name: len(clips) for name, clips in lists.items()}


def _membership(folder: Path, held: HeldOutClass) -> Callable[[str], bool]:
    """Whether a clip is of the class."""
    if held.key == CAPTION:
        words = [re.escape(word) for word in held.value.lower().split()]
        said = re.compile(r"\b" + r"\s+".join(f"{word}(?:e?s|e?d|ing)?" for word in words) + r"\b")
        clips = open_clips(folder)
        return lambda clip: _says(clips.lines(clip), said)
    path = folder / "index.csv"
    if not path.is_file():
        raise UserError(
            f"{path}: missing, so no clip has a {held.key}. Hold out by what captions say: --hold-out caption=WORD."
        )
    columns, rows = csv_stream(path)
    if held.key not in columns or "clip_id" not in columns:
        raise UserError(f"{path}: no column {held.key!r}; it has {', '.join(columns)}.")
    members, composed = set[str](), dict[str, list[str]]()
    for _, row in rows:
        if row[held.key] == held.value:
            members.add(row["clip_id"])
        if row.get(PARTS):
            composed[row["clip_id"]] = row[PARTS].split(PART)
    members |= {clip for clip, parts in composed.items() if not members.isdisjoint(parts)}
    return lambda clip: clip in members


def _says(lines: Lines | None, said: re.Pattern[str]) -> bool:
    """Whether a caption, the part of a line before its tags, matches."""
    return any(said.search(line.partition("#")[0].lower()) for _, line in lines or ())
