"""An existing HumanML3D or KIT-ML folder: recognised, checked, and completed with the representations it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays, write_arrays
from motionrft.files.clip_names import clip_file, read_names
from motionrft.files.clip_store import ClipStore, Lines
from motionrft.files.dataset import SPLITS
from motionrft.files.dataset_layout import CARD, FOLDERS, SHARD_INDEX, folder_of
from motionrft.files.dataset_rate import rate_said
from motionrft.files.parallel import mapped
from motionrft.files.shards import ShardedClips, open_clips
from motionrft.parsing import read_json
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS, KINEMATIC, ROTATION
from motionrft.representations.statistics import Statistics
from motionrft.training.distribution import ALONE, Distribution

PUBLISHED_COUNTS = {
    263: {"train": 23384, "val": 1460, "test": 4384},
    251: {"train": 4888, "val": 300, "test": 830},
}
"""Clips listed by the published split files of HumanML3D and KIT-ML."""
_FPS = {263: 20.0, 251: 12.5}
_UNREADABLE = "unreadable captions"


@dataclass
class DatasetCheck:
    """What was found in a data set folder.

    width: of its kinematic features, 263 or 251. fps: frames a second. counts: clips by split list.
    lacking: representations without a folder. problems: by kind, the ids of the clips concerned.
    """

    folder: Path
    width: int
    fps: float = 20.0
    counts: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    lacking: list[str] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**asdict(self), "folder": str(self.folder)}

    def add(self, kind: str, clip: str) -> None:
        self.problems.setdefault(kind, []).append(clip)


def is_dataset(folder: Path) -> bool:
    """Whether a folder is laid out as HumanML3D, or in shards: features and at least one split list."""
    listed = any((folder / f"{split}.txt").is_file() for split in SPLITS)
    return listed and ((folder / SHARD_INDEX).is_file() or (folder / FOLDERS[KINEMATIC]).is_dir())


def _without_words(lines: Lines, source: str, seconds: float) -> str | None:
    return None if any(line.split("#")[0].strip() for _, line in lines) else "no captions"


def check_dataset(
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    captions: Callable[[Lines, str, float], str | None] = _without_words,
) -> DatasetCheck:
    """Look at every listed clip: is it there, of the right shape, finite, and does it have captions?

    Args:
        captions: (lines, what messages call them, seconds of the clip) -> what is wrong with them, its kind before a
            colon, or None. `motionrft.data.captions.caption_fault` reads them as data sets do.

    Raises:
        UserError: the folder is no data set in HumanML3D's layout, or lists no clip that can be read.
    """
    listed = _listed_clips(folder)
    motions = open_clips(folder)
    width = _width(motions, listed)
    card = folder / CARD
    said = rate_said(read_json(card), card) if card.is_file() else None
    check = DatasetCheck(folder, width, said or _FPS[width])
    check.counts = {split: len(clips) for split, clips in listed.items()}
    wanted = (KINEMATIC, JOINTS, ROTATION) if check.width == 263 else (KINEMATIC, JOINTS)
    check.lacking = [name for name in wanted if name not in motions.representations]
    counts = Counter(clip for members in listed.values() for clip in set(members))
    for clip in sorted(clip for clip, lists in counts.items() if lists > 1):
        check.add("in several lists", clip)
    clips = sorted(counts)
    for done, clip in enumerate(clips, 1):
        _check_clip(check, motions, clip, captions)
        if progress is not None:
            progress(done, len(clips))
    _compare_counts(check)
    return check


def _listed_clips(folder: Path) -> dict[str, list[str]]:
    if not is_dataset(folder):
        raise UserError(
            f"{folder}: no data set in HumanML3D's layout ({FOLDERS[KINEMATIC]}/ and train.txt, val.txt, test.txt)."
        )
    listed = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if path.is_file():
            listed[split] = read_names(path)
    return listed


def _width(motions: ClipStore, listed: dict[str, list[str]]) -> int:
    """263 or 251, from the first clip that can be read."""
    for clips in listed.values():
        for clip in clips:
            if motions.has(clip, KINEMATIC):
                width = ([0, *motions.raw(clip, KINEMATIC).shape])[-1]
                if width in _FPS:
                    return width
                place = motions.place(clip, KINEMATIC)
                raise UserError(f"{place}: {width} values a frame; HumanML3D has 263, KIT-ML 251.")
    raise UserError(f"{motions.root}: none of the listed clips is in {FOLDERS[KINEMATIC]}/.")


def _check_clip(
    check: DatasetCheck,
    motions: ClipStore,
    clip: str,
    captions: Callable[[Lines, str, float], str | None],
) -> None:
    try:
        if not motions.has(clip, KINEMATIC):
            check.add("listed but missing", clip)
            return
        features = np.asarray(motions.raw(clip, KINEMATIC))
    except UserError:
        check.add("unreadable", clip)
        return
    if features.ndim != 2 or features.shape[1] != check.width or not len(features):
        check.add("wrong shape", clip)
    elif not np.isfinite(features).all():
        check.add("NaN", clip)
    else:
        check.frames += len(features)
    try:
        lines = list(motions.lines(clip) or ())
        said = captions(lines, motions.place(clip), features.shape[0] / check.fps if features.ndim else 0.0)
    except UserError as error:
        said = f"{_UNREADABLE}: {error}"
    if said is not None:
        kind, _, why = said.partition(": ")
        if why and kind not in check.problems:
            check.remarks.append(why)
        check.add(kind, clip)


def _compare_counts(check: DatasetCheck) -> None:
    published = PUBLISHED_COUNTS[check.width]
    name = "HumanML3D" if check.width == 263 else "KIT-ML"
    if check.counts == published:
        check.remarks.append(f"the split lists have the published sizes of {name}.")
    elif sum(check.counts.values()) > 0.5 * sum(published.values()):
        expected = ", ".join(f"{split} {count}" for split, count in published.items())
        check.remarks.append(f"the split lists differ from the published {name} ({expected}).")
    not_finite = len(check.problems.get("NaN", []))
    if not_finite and check.width == 263:
        check.remarks.append(
            "clips with NaN are known in HumanML3D (the official code fails on them); readers leave them out."
        )


def complete_dataset(
    check: DatasetCheck,
    progress: Callable[[int, int], None] | None = None,
    jobs: int = 1,
    company: Distribution = ALONE,
) -> int:
    """Write the representations and statistics that a checked folder lacks; nothing that is there is replaced.

    Args:
        jobs: processes that each of the company starts; it shares the clips.

    Returns:
        The number of clips written; in the first process of a company.

    Raises:
        UserError: shards lack a representation: they are not added to.
    """
    sharded = isinstance(open_clips(check.folder), ShardedClips)
    if sharded and check.lacking:
        raise UserError(
            f"{check.folder}: its shards have no {' and no '.join(check.lacking)}, and are not added to. Complete the "
            f"folder that they were made of, and write them anew; or write folders: --set layout=folders --out DIR."
        )
    clips = company.known(lambda: list(_sound_clips(check)))
    written = 0
    if not sharded:
        for done, wrote in enumerate(mapped(partial(_complete_clip, check), clips, jobs, company), 1):
            written += wrote
            if progress is not None:
                progress(done, len(clips))
    company.first(lambda: _complete_statistics(check, clips))
    return written


def _complete_statistics(check: DatasetCheck, clips: list[str]) -> None:
    sound, stored = set(clips), open_clips(check.folder)
    train = [clip for clip in _listed_clips(check.folder).get("train", []) if clip in sound]
    for representation in stored.representations:
        if not _has_statistics(check.folder, representation):
            motions = (stored.read(clip, representation) for clip in train)
            Statistics.of_clips(motions, representation).save(check.folder, representation)


def _sound_clips(check: DatasetCheck) -> Iterator[str]:
    bad = {
        clip
        for kind, clips in check.problems.items()
        if "captions" not in kind and kind != "in several lists"
        for clip in clips
    }
    listed = _listed_clips(check.folder)
    for clip in sorted({clip for members in listed.values() for clip in members}):
        if clip not in bad:
            yield clip


def _complete_clip(check: DatasetCheck, clip: str) -> int:
    features = None
    for representation in (JOINTS, ROTATION) if check.width == 263 else (JOINTS,):
        path = clip_file(folder_of(check.folder, representation), clip)
        if path.is_file():
            continue
        if features is None:
            features = torch.from_numpy(
                np.array(read_arrays(clip_file(check.folder / FOLDERS[KINEMATIC], clip)).array, np.float32)
            )
        motion = convert(features[None], KINEMATIC, representation)[0]
        if not path.resolve().is_relative_to(check.folder.resolve()):
            raise UserError(f"{path.parent}: a link out of the data set; nothing is written through it.")
        write_arrays(path, motion.numpy(), _FPS[check.width])
    return int(features is not None)


def _has_statistics(folder: Path, representation: str) -> bool:
    try:
        Statistics.load(folder, representation)
    except UserError:
        return False
    return True
