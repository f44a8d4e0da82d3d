"""Building a data set folder in HumanML3D's layout, with every representation, from motions, captions and splits."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.archives import unpacked
from motionrft.files.captions import mirror_caption, read_captions
from motionrft.files.clip_names import name_fault, read_names
from motionrft.files.composed_clips import (
    append_rows,
    composed_rows,
    planned_compositions,
    shortfalls,
    write_composed,
)
from motionrft.files.composition import Composed
from motionrft.files.dataset_clips import ClipWriter, is_image
from motionrft.files.dataset_layout import CARD, FOLDERS, PARTS, SHARD_INDEX, SHARDS, TEXTS
from motionrft.files.dataset_recipe import DatasetRecipe, DatasetReport
from motionrft.files.hold_out import is_hold_out_list
from motionrft.files.packing import Packer, layout_of
from motionrft.files.shards import open_clips
from motionrft.parsing import csv_stream, read_json
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import atomic_folder
from motionrft.training.distribution import ALONE, Distribution

SPLITS = ("train", "val", "test")
CREDITS = ("LICENSE", "ATTRIBUTION.md")
"""Copied from beside the captions."""


Rows = Mapping[str, Mapping[str, str]]
"""Of a table of splits, by clip."""


def build_dataset(
    recipe: DatasetRecipe,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
    company: Distribution = ALONE,
) -> DatasetReport:
    """Build the folder `out`: whole, or not at all.

    Every clip is brought to the recipe's frame rate and into the canonical frame; its features, the joints recovered
    from them and the rotations fitted to those have the same T - 1 frames. Statistics come from the training split.

    Args:
        progress: called with (clips done, clips in all), of composed clips after the others.
        company: whose processes convert and compose the clips; the first does all else, and reports.

    Raises:
        UserError: captions or splits cannot be read, no clip is left, or `out` holds something that no data set has.
    """
    captions, rows = company.first(lambda: _read(recipe, out)) or ({}, {})
    report = DatasetReport()
    with _opened(recipe, out, company) as (motions, folder):
        packer = Packer(folder) if company.main and recipe.layout == "shards" else None
        # What is composed is made of single clips, which are packed after it.
        packed = packer.take if packer is not None and recipe.compose is None else None
        kept = ClipWriter(recipe, rows, captions, folder, report, packed, company).write(motions, progress)
        composed: list[Composed] = []
        if recipe.compose is not None:
            composed = company.known(lambda: _planned(recipe, folder, kept, rows))
            write_composed(folder, composed, recipe.compose.blend, recipe.jobs, company, progress)

        def finish() -> None:
            split_of = {clip: rows[source][recipe.split_column] for clip, source in kept.items()}
            _write_index(rows, kept, recipe, folder)
            split_of |= _add_composed(recipe, folder, composed, rows, report)
            if packer is not None:
                packer.finish(() if packed else split_of)
            _write_lists(split_of, folder, report)
            write_statistics(folder, [clip for clip, split in split_of.items() if split == "train"])
            _write_card(recipe, folder, report)

        company.first(finish)
    return report


def _read(recipe: DatasetRecipe, out: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, str]]]:
    """Captions and rows by clip, once it is known that they can be used, and that `out` may be written."""
    check_replaceable(out)
    captions = read_captions(recipe.captions) if recipe.captions is not None else {}
    rows = read_splits(recipe.splits, recipe.split_column)
    if recipe.compose is not None:
        _check_columns(rows, recipe)
    return captions, rows


@contextmanager
def _opened(recipe: DatasetRecipe, out: Path, company: Distribution) -> Iterator[tuple[list[Path], Path]]:
    """Where the motions lie, and the folder in the making: the first process makes it, and gives it its name."""
    with ExitStack() as stack:

        def make() -> tuple[list[Path], Path]:
            motions = stack.enter_context(unpacked(recipe.motions, out))
            folder = stack.enter_context(atomic_folder(out))
            for name in (*FOLDERS.values(), TEXTS):
                (folder / name).mkdir()
            return motions, folder

        yield company.known(make)


def read_splits(path: Path, column: str) -> dict[str, dict[str, str]]:
    """Rows of a CSV by `clip_id`, in file order; `column` says train, val or test.

    Raises:
        UserError: a column is missing, a split has another name, a row has more or fewer cells than the header, or
            a clip has two rows that differ.
    """
    columns, rows = csv_stream(path)
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
        # What rows say over and over is kept once.
        table.setdefault(clip, {name: sys.intern(cell) for name, cell in row.items()})
    return table


def _check_columns(rows: Rows, recipe: DatasetRecipe) -> None:
    """Refuse a table of splits that does not say what to compose, or that has a column of ours."""
    columns = list(next(iter(rows.values()), ()))
    if "content" not in columns:
        raise UserError(
            f"{recipe.splits}: no column 'content', which says what to compose; it has {', '.join(columns)}."
        )
    for column, says in (("group", "which composed clips belong together"), (PARTS, "what they are made of")):
        if any(row.get(column) for row in rows.values()):
            raise UserError(
                f"{recipe.splits}: the column {column!r} will say {says}, and says something else here: rename it."
            )


def _planned(recipe: DatasetRecipe, folder: Path, kept: Mapping[str, str], rows: Rows) -> list[Composed]:
    """What is to be composed of the clips that are no mirror images."""
    assert recipe.compose is not None
    own = {clip: rows[row] for clip, row in kept.items() if not is_image(clip, kept, recipe)}
    labels = {clip: (row["content"], row.get("style", "")) for clip, row in own.items()}
    split_of = {clip: row[recipe.split_column] for clip, row in own.items()}
    return planned_compositions(folder, split_of, labels, recipe.compose)


def _add_composed(
    recipe: DatasetRecipe, folder: Path, planned: list[Composed], rows: Rows, report: DatasetReport
) -> dict[str, str]:
    """Add the composed clips to the index and to the report; each with its split."""
    if recipe.compose is None:
        return {}
    made = {composed.clip: composed for composed in planned}
    columns = list(next(iter(rows.values())))
    append_rows(folder / "index.csv", composed_rows(columns, made, recipe.split_column))
    report.shortfalls = shortfalls(made, recipe.compose)
    report.composed = len(made)
    report.frames += sum(composed.frames(recipe.compose.blend) for composed in made.values())
    return {clip: composed.split for clip, composed in made.items()}


def _write_lists(split_of: Mapping[str, str], folder: Path, report: DatasetReport) -> None:
    for split in SPLITS:
        clips = [clip for clip, its_split in split_of.items() if its_split == split]
        report.splits[split] = len(clips)
        (folder / f"{split}.txt").write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8")


def _write_index(rows: Rows, kept: Mapping[str, str], recipe: DatasetRecipe, folder: Path) -> None:
    """`index.csv`: the rows of the kept clips with every column they came with; a mirror image shows the other side."""
    columns = list(next(iter(rows.values())))
    with open(folder / "index.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for clip, source in kept.items():
            row = {**rows[source], "clip_id": clip}
            if "content" in row and is_image(clip, kept, recipe):
                row["content"] = mirror_caption(row["content"])
            writer.writerow(row)


def write_statistics(folder: Path, clips: Iterable[str]) -> None:
    """Means and standard deviations of every representation in the folder, over the named clips."""
    clips = list(clips)
    if not clips:
        raise UserError("no clip is in the training split: statistics cannot be computed.")
    stored = open_clips(folder)
    for representation in stored.representations:
        motions = (stored.read(clip, representation) for clip in clips)
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
    folders = (*FOLDERS.values(), TEXTS)
    statistics = {path.name for name in FOLDERS for path in Statistics.files(out, name)}
    own = {CARD, "index.csv", *CREDITS, *statistics, *(f"{split}.txt" for split in SPLITS), *_shards(out)}
    foreign = [
        path.relative_to(out).as_posix()
        for path in sorted(out.rglob("*"))
        if not path.is_dir()
        and path.relative_to(out).as_posix() not in own
        and not (path.parent == out and is_hold_out_list(path.name))
        and not (path.parent.parent == out and path.parent.name in folders and path.stem in clips)
    ]
    if foreign:
        more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
        raise UserError(
            f"{out}: holds {', '.join(foreign[:5])}{more} beside the data set. Move that away, or name another --out."
        )


def _shards(out: Path) -> set[str]:
    """The index of a data set in shards, and what it lists."""
    if layout_of(out) == "folders":
        return set()
    named = {f"{SHARDS}/{entry.get('file')}" for entry in read_json(out / SHARD_INDEX).get("shards", ())}
    return {SHARD_INDEX, *named}


def _write_card(recipe: DatasetRecipe, folder: Path, report: DatasetReport) -> None:
    """`dataset.json`, and the licence and attribution that lie beside the captions."""
    for name in CREDITS:
        beside = (recipe.captions or recipe.splits).parent / name
        if beside.is_file():
            shutil.copyfile(beside, folder / name)
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
        **({} if recipe.compose is None else {"compose": recipe.compose.plain()}),
        "source": [path.name for path in recipe.motions],
        "licence": licence,
    }
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
