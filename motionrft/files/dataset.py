"""Building a data set folder in HumanML3D's layout, with every representation, from motions, captions and splits."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.archives import unpacked
from motionrft.files.captions import mirror_caption, read_captions, text_lines
from motionrft.files.clip_names import name_fault, read_names
from motionrft.files.clip_writing import save_clip
from motionrft.files.composed_clips import append_rows, composed_rows, write_composed
from motionrft.files.composition import CompositionRecipe
from motionrft.files.dataset_layout import FOLDERS
from motionrft.files.motions import FileFault, motion_files, read_motions
from motionrft.files.parallel import mapped
from motionrft.files.reading import ReadingOptions
from motionrft.parsing import csv_rows
from motionrft.representations.convert import convert
from motionrft.representations.joints import mirror_joints
from motionrft.representations.names import JOINTS
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import atomic_folder

SPLITS = ("train", "val", "test")
CARD = "dataset.json"
CREDITS = ("LICENSE", "ATTRIBUTION.md")
"""Copied from beside the captions."""
DEFAULT_MIN_FRAMES = 16
"""Shortest clip that is kept, frames of features."""


@dataclass(frozen=True)
class DatasetRecipe:
    """What a data set folder is made of.

    motions: folders of motion files, tar archives of them, or the files themselves.
    captions: JSON lines `{"clip_id": ..., "captions": [...]}`.
    splits: CSV with a column `clip_id` and `split_column`; all its columns travel into `index.csv`.
    fps: rate of the data set; every motion is resampled to it. reading: how the files are read.
    min_frames: clips with fewer frames of features are left out, and listed.
    compose: clips of two events and of repeated ones to add, from the clips of each split; `content` names the kinds.
    """

    motions: tuple[Path, ...]
    captions: Path
    splits: Path
    split_column: str = "split"
    fps: float = 20.0
    min_frames: int = DEFAULT_MIN_FRAMES
    mirror: bool = False
    licence: str = ""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    jobs: int = 1
    compose: CompositionRecipe | None = None


@dataclass
class DatasetReport:
    """What was built: counts, and the clips that are not in it with the reason for each."""

    clips: int = 0
    composed: int = 0
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
            **({"composed": self.composed} if self.composed else {}),
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
        UserError: captions or splits cannot be read, no clip is left, or `out` holds something that no data set has.
    """
    check_replaceable(out)
    captions = read_captions(recipe.captions)
    rows = read_splits(recipe.splits, recipe.split_column)
    report = DatasetReport()
    with unpacked(recipe.motions, out) as motions, atomic_folder(out) as folder:
        for name in (*FOLDERS.values(), "texts"):
            (folder / name).mkdir()
        paths = _chosen_files(motions, rows, captions, report)
        if recipe.mirror:
            _check_mirrors(paths)
        kept = _write_clips(recipe, paths, captions, folder, report, progress)
        split_of = {clip: rows[source][recipe.split_column] for clip, source in kept.items()}
        _write_index(rows, kept, folder)
        split_of |= _compose(recipe, folder, split_of, captions, rows, report)
        _write_lists(split_of, folder, report)
        write_statistics(folder, [clip for clip, split in split_of.items() if split == "train"])
        _write_card(recipe, folder, report)
    return report


def read_splits(path: Path, column: str) -> dict[str, dict[str, str]]:
    """Rows of a CSV by `clip_id`, in file order; `column` says train, val or test.

    Raises:
        UserError: a column is missing, a split has another name, a row has more or fewer cells than the header, or
            a clip has two rows that differ.
    """
    columns, rows = csv_rows(path)
    absent = {"clip_id", column} - set(columns)
    if absent:
        raise UserError(f"{path}: no column {sorted(absent)[0]!r}; it has {', '.join(columns)}.")
    table: dict[str, dict[str, str]] = {}
    for place, row in rows:
        clip = row["clip_id"]
        if row[column] not in SPLITS:
            place.fail(f"{column} is {row[column]!r}; legal: {', '.join(SPLITS)}.")
        if (fault := name_fault(clip)) is not None:
            place.fail(f"the clip_id {clip!r} {fault}.")
        if table.get(clip, row) != row:
            place.fail(f"the clip {clip!r} has another row above (there it is in {table[clip][column]}).")
        table[clip] = row
    return table


def _write_clips(
    recipe: DatasetRecipe,
    paths: list[Path],
    captions: Mapping[str, list[str]],
    folder: Path,
    report: DatasetReport,
    progress: Callable[[int, int], None] | None,
) -> dict[str, str]:
    """Convert all clips; the ids of those kept, each with the id of the row it belongs to."""
    kept: dict[str, str] = {}
    work = partial(_convert_clip, recipe=recipe, folder=folder)
    for done, (path, outcome) in enumerate(zip(paths, mapped(work, paths, recipe.jobs), strict=True), 1):
        if isinstance(outcome, FileFault):
            report.faults.append(outcome)
        elif outcome < recipe.min_frames:
            report.too_short.append(path.stem)
        else:
            kept |= _write_texts(path.stem, captions[path.stem], recipe.mirror, folder)
            report.frames += outcome * (2 if recipe.mirror else 1)
        if progress is not None:
            progress(done, len(paths))
    if not kept:
        raise UserError(
            f"no clip is left: {len(report.too_short)} too short, "
            f"{len(report.without_captions)} without captions, {len(report.faults)} unreadable."
        )
    report.clips = len(kept)
    return kept


def _compose(
    recipe: DatasetRecipe,
    folder: Path,
    split_of: Mapping[str, str],
    captions: Mapping[str, list[str]],
    rows: Mapping[str, Mapping[str, str]],
    report: DatasetReport,
) -> dict[str, str]:
    """Add composed clips to the folder and its index; each with its split."""
    if recipe.compose is None:
        return {}
    columns = list(next(iter(rows.values())))
    if "content" not in columns:
        raise UserError(
            f"{recipe.splits}: no column 'content', which says what to compose; it has {', '.join(columns)}."
        )
    own = {clip: split for clip, split in split_of.items() if clip in rows}
    labels = {clip: (rows[clip]["content"], rows[clip].get("style", "")) for clip in own}
    made = write_composed(folder, own, captions, labels, recipe.compose, recipe.jobs)
    append_rows(folder / "index.csv", composed_rows(columns, made, recipe.split_column))
    report.composed = len(made)
    report.frames += sum(composed.frames(recipe.compose.blend) for composed in made.values())
    return {clip: composed.split for clip, composed in made.items()}


def _chosen_files(
    motions: list[Path], rows: Container[str], captions: Mapping[str, list[str]], report: DatasetReport
) -> list[Path]:
    """The files that have a split and captions, one a clip.

    Raises:
        UserError: there is none.
    """
    chosen: dict[str, Path] = {}
    for path in motion_files(motions):
        clip = path.stem
        if clip not in rows:
            continue
        if clip in chosen:
            report.faults.append(FileFault(path, f"{path}: the clip {clip} is {chosen[clip]} already."))
        elif not captions.get(clip):
            report.without_captions.append(clip)
        else:
            chosen[clip] = path
    if not chosen:
        raise UserError(
            "no motion has a row in --splits and a line in --captions; a clip's id is its file's stem."
        )
    return list(chosen.values())


def _check_mirrors(paths: list[Path]) -> None:
    """Refuse a clip that is called as the mirror image of another will be."""
    clips = {path.stem for path in paths}
    for path in paths:
        if f"M{path.stem}" in clips:
            raise UserError(
                f"{path}: its mirror image would be called M{path.stem}, which is a clip of its own. Rename one."
            )


def _write_texts(clip: str, captions: list[str], mirrored: bool, folder: Path) -> dict[str, str]:
    """Write the text file of a clip, and of its mirror image; the ids written with the clip they come from."""
    texts = {clip: captions}
    if mirrored:
        texts[f"M{clip}"] = [mirror_caption(caption) for caption in captions]
    for name, lines in texts.items():
        (folder / "texts" / f"{name}.txt").write_text(text_lines(lines), encoding="utf-8")
    return dict.fromkeys(texts, clip)


def _convert_clip(path: Path, recipe: DatasetRecipe, folder: Path) -> int | FileFault:
    """Write one clip in every representation; its frames of features, or what is wrong with the file."""
    try:
        motions = read_motions(path, fps=recipe.fps, options=recipe.reading)
        if len(motions) > 1:
            raise UserError(
                f"{path}: holds {len(motions)} motions; a data set has one a file. Convert them first."
            )
        joints = convert(torch.from_numpy(motions[0].array)[None], motions[0].representation, JOINTS)
        frames = joints.shape[1] - 1
        if frames >= recipe.min_frames:
            save_clip(path.stem, joints, folder)
            if recipe.mirror:
                save_clip(f"M{path.stem}", mirror_joints(joints), folder)
    except UserError as error:
        said = str(error)
        return FileFault(path, said if str(path) in said else f"{path}: {said}")
    return frames


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


def check_replaceable(out: Path) -> None:
    """Refuse to replace a folder by a data set unless a data set is all it holds.

    Raises:
        UserError: names what is there beside the files that a data set of these clips has.
    """
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / CARD).is_file():
        raise UserError(f"{out}: exists and holds no data set of ours ({CARD}). Name another --out.")
    clips = {
        clip
        for split in SPLITS
        if (out / f"{split}.txt").is_file()
        for clip in read_names(out / f"{split}.txt")
    }
    folders = (*FOLDERS.values(), "texts")
    statistics = {path.name for name in FOLDERS for path in Statistics.files(out, name)}
    own = {CARD, "index.csv", *CREDITS, *statistics, *(f"{split}.txt" for split in SPLITS)}
    foreign = [
        path.relative_to(out).as_posix()
        for path in sorted(out.rglob("*"))
        if not path.is_dir()
        and path.relative_to(out).as_posix() not in own
        and not (path.parent.parent == out and path.parent.name in folders and path.stem in clips)
    ]
    if foreign:
        more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
        raise UserError(
            f"{out}: holds {', '.join(foreign[:5])}{more} beside the data set. Move that away, or name another --out."
        )


def _write_card(recipe: DatasetRecipe, folder: Path, report: DatasetReport) -> None:
    """`dataset.json`, and the licence and attribution that lie beside the captions."""
    for name in CREDITS:
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
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
