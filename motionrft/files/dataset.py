"""Building a data set folder in HumanML3D's layout, with every representation, from motions, captions and splits."""

from __future__ import annotations

import csv
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.captions import mirror_caption, read_captions, text_lines
from motionrft.files.joint_maps import JointMap
from motionrft.files.motions import FileFault, motion_files, read_motions
from motionrft.representations.joints import mirror_joints
from motionrft.representations.kinematic import joints_to_kinematic, kinematic_to_joints
from motionrft.representations.names import JOINTS, KINEMATIC, ROTATION
from motionrft.representations.rotation import joints_to_rotation
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import atomic_folder

FOLDERS = {KINEMATIC: "new_joint_vecs", JOINTS: "new_joints", ROTATION: "rotations"}
"""Where each representation lies in a data set folder."""
SPLITS = ("train", "val", "test")
DEFAULT_MIN_FRAMES = 16
"""Shortest clip that is kept, frames of features."""


@dataclass(frozen=True)
class DatasetRecipe:
    """What a data set folder is made of.

    motions: a folder of motion files, or the files themselves.
    captions: JSON lines `{"clip_id": ..., "captions": [...]}`.
    splits: CSV with a column `clip_id` and `split_column`; all its columns travel into `index.csv`.
    fps: rate of the data set; BVH is resampled to it.
    min_frames: clips with fewer frames of features are left out, and listed.
    """

    motions: tuple[Path, ...]
    captions: Path
    splits: Path
    split_column: str = "split"
    fps: float = 20.0
    min_frames: int = DEFAULT_MIN_FRAMES
    mirror: bool = False
    licence: str = ""
    joint_map: JointMap | None = None
    jobs: int = 1


@dataclass
class DatasetReport:
    """What was built: counts, and the clips that are not in it with the reason for each."""

    clips: int = 0
    frames: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    too_short: list[str] = field(default_factory=list)
    without_captions: list[str] = field(default_factory=list)
    faults: list[FileFault] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Everything, for JSON."""
        left_out = {"too_short": self.too_short, "without_captions": self.without_captions}
        unreadable = [fault.message for fault in self.faults]
        return {
            "clips": self.clips,
            "frames": self.frames,
            "splits": self.splits,
            "left_out": left_out | {"unreadable": unreadable},
        }


def build_dataset(
    recipe: DatasetRecipe, out: Path, progress: Callable[[int, int], None] | None = None
) -> DatasetReport:
    """Build the folder `out`: whole, or not at all.

    Every clip is brought to the recipe's frame rate and into the canonical frame; its features, the joints recovered
    from them and the rotations fitted to those have the same T - 1 frames. Statistics come from the training split.

    Args:
        progress: called with (clips done, clips in all).

    Raises:
        UserError: captions or splits cannot be read, or no clip is left.
    """
    captions = read_captions(recipe.captions)
    rows = read_splits(recipe.splits, recipe.split_column)
    report = DatasetReport()
    with atomic_folder(out) as folder:
        for name in (*FOLDERS.values(), "texts"):
            (folder / name).mkdir()
        kept = _write_clips(recipe, captions, rows, folder, report, progress)
        split_of = {clip: rows[source][recipe.split_column] for clip, source in kept.items()}
        _write_lists(split_of, folder, report)
        _write_index(rows, kept, folder)
        write_statistics(folder, [clip for clip, split in split_of.items() if split == "train"])
        _write_card(recipe, folder, report)
    return report


def read_splits(path: Path, column: str) -> dict[str, dict[str, str]]:
    """Rows of a CSV by `clip_id`, in file order; `column` says train, val or test.

    Raises:
        UserError: a column is missing or a split has another name.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error}).") from error
    absent = {"clip_id", column} - set(columns)
    if absent:
        raise UserError(f"{path}: no column {sorted(absent)[0]!r}; it has {', '.join(columns)}.")
    for number, row in enumerate(rows, 2):
        if row[column] not in SPLITS:
            raise UserError(
                f"{path}: line {number}: {column} is {row[column]!r}; legal: {', '.join(SPLITS)}."
            )
    return {row["clip_id"]: row for row in rows}


def _write_clips(
    recipe: DatasetRecipe,
    captions: Mapping[str, list[str]],
    rows: Mapping[str, object],
    folder: Path,
    report: DatasetReport,
    progress: Callable[[int, int], None] | None,
) -> dict[str, str]:
    """Convert all clips that have a split; the ids of those kept, each with the id of the row it belongs to."""
    paths = [path for path in motion_files(recipe.motions) if path.stem in rows]
    if not paths:
        raise UserError(
            f"{recipe.splits}: none of its clips is among the motions (a clip's id is its file's stem)."
        )
    kept: dict[str, str] = {}
    work = partial(_convert_clip, recipe=recipe, folder=folder)
    for done, (path, outcome) in enumerate(zip(paths, _mapped(work, paths, recipe.jobs), strict=True), 1):
        if isinstance(outcome, FileFault):
            report.faults.append(outcome)
        elif outcome < recipe.min_frames:
            report.too_short.append(path.stem)
        elif not captions.get(path.stem):
            report.without_captions.append(path.stem)
        else:
            for clip in (path.stem, *([f"M{path.stem}"] if recipe.mirror else [])):
                texts = (
                    captions[path.stem]
                    if clip == path.stem
                    else [mirror_caption(c) for c in captions[path.stem]]
                )
                (folder / "texts" / f"{clip}.txt").write_text(text_lines(texts), encoding="utf-8")
                kept[clip] = path.stem
                report.frames += outcome
        if progress is not None:
            progress(done, len(paths))
    if not kept:
        raise UserError(
            f"no clip is left: {len(report.too_short)} too short, "
            f"{len(report.without_captions)} without captions, {len(report.faults)} unreadable."
        )
    report.clips = len(kept)
    return kept


def _mapped(
    work: Callable[[Path], int | FileFault], paths: list[Path], jobs: int
) -> Iterator[int | FileFault]:
    """`work` over all paths in order, in this process or in `jobs` others."""
    if jobs <= 1:
        yield from map(work, paths)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield from pool.map(work, paths, chunksize=16)


def _convert_clip(path: Path, recipe: DatasetRecipe, folder: Path) -> int | FileFault:
    """Write one clip in every representation; its frames of features, or what is wrong with the file."""
    try:
        joints = torch.from_numpy(read_motions(path, fps=recipe.fps, joint_map=recipe.joint_map)[0].array)
        if len(joints) - 1 < recipe.min_frames:
            return max(len(joints) - 1, 0)
        _save_clip(path.stem, joints, folder)
        if recipe.mirror:
            _save_clip(f"M{path.stem}", mirror_joints(joints), folder)
    except UserError as error:
        return FileFault(path, str(error))
    return len(joints) - 1


def _save_clip(clip: str, joints: torch.Tensor, folder: Path) -> None:
    features = joints_to_kinematic(joints[None])
    recovered = kinematic_to_joints(features)
    rotation = joints_to_rotation(recovered)
    for representation, motion in ((KINEMATIC, features), (JOINTS, recovered), (ROTATION, rotation)):
        np.save(folder / FOLDERS[representation] / f"{clip}.npy", motion[0].float().numpy())


def _write_lists(split_of: Mapping[str, str], folder: Path, report: DatasetReport) -> None:
    for split in SPLITS:
        clips = [clip for clip, its_split in split_of.items() if its_split == split]
        report.splits[split] = len(clips)
        (folder / f"{split}.txt").write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8")


def _write_index(rows: Mapping[str, Mapping[str, str]], kept: Mapping[str, str], folder: Path) -> None:
    """`index.csv`: the rows of the kept clips with every column they came with."""
    columns = list(next(iter(rows.values())))
    with open(folder / "index.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**rows[source], "clip_id": clip} for clip, source in kept.items())


def write_statistics(folder: Path, clips: Iterable[str]) -> None:
    """Means and standard deviations of every representation in the folder, over the named clips."""
    clips = list(clips)
    if not clips:
        raise UserError("no clip is in the training split: statistics cannot be computed.")
    for representation, name in FOLDERS.items():
        motions = (np.load(folder / name / f"{clip}.npy") for clip in clips)
        Statistics.of_clips(motions, representation).save(folder, representation)


def _write_card(recipe: DatasetRecipe, folder: Path, report: DatasetReport) -> None:
    """`dataset.json`, and the licence and attribution that lie beside the captions."""
    for name in ("LICENSE", "ATTRIBUTION.md"):
        if (recipe.captions.parent / name).is_file():
            shutil.copyfile(recipe.captions.parent / name, folder / name)
    licence = recipe.licence or (
        "see ATTRIBUTION.md and LICENSE" if (folder / "ATTRIBUTION.md").exists() else "not stated"
    )
    card = {
        "fps": recipe.fps,
        "skeleton": "smpl22",
        "representations": dict(FOLDERS),
        **report.plain(),
        "split_column": recipe.split_column,
        "min_frames": recipe.min_frames,
        "mirrored": recipe.mirror,
        "source": [path.name for path in recipe.motions],
        "licence": licence,
    }
    (folder / "dataset.json").write_text(
        json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
