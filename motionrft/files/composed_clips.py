"""Composed clips written into a data set folder that is being built."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from motionrft.files.captions import text_lines
from motionrft.files.clip_writing import save_clip
from motionrft.files.composition import Composed, CompositionRecipe, Source, compositions
from motionrft.files.dataset_layout import FOLDERS, PART, PARTS, TEXTS
from motionrft.files.even_groups import even_compositions
from motionrft.files.parallel import mapped
from motionrft.parsing import filled_lines
from motionrft.representations.join import join, repeated
from motionrft.representations.names import JOINTS
from motionrft.representations.pace import paced
from motionrft.representations.together import meanwhile, stands
from motionrft.training.distribution import ALONE, Distribution

STYLE = "composed"
"""What the label column `style` says of a composed clip: its `content` names the events, `walk>bow`, `wave*2`."""


def planned_compositions(
    folder: Path,
    split_of: Mapping[str, str],
    labels: Mapping[str, tuple[str, str]],
    recipe: CompositionRecipe,
) -> list[Composed]:
    """What is to be composed of the clips of a folder (`new_joints/`, `texts/`).

    Args:
        split_of: clip to split; labels: clip to kind and style.
    """
    sources = []
    for clip, split in split_of.items():
        kind, style = labels[clip]
        if not kind:
            continue
        captions = tuple(told.split("#")[0] for _, told in filled_lines(folder / TEXTS / f"{clip}.txt"))
        joints = np.load(folder / FOLDERS[JOINTS] / f"{clip}.npy", mmap_mode="r")  # (T, J * 3) or (T, J, 3)
        stand = stands(torch.from_numpy(joints.reshape(len(joints), -1, 3)[:, :1].copy()))
        sources.append(Source(clip, kind, split, len(joints), captions, style, stand))
    return [*compositions(sources, recipe), *even_compositions(sources, recipe)]


def write_composed(
    folder: Path,
    planned: Sequence[Composed],
    blend: int,
    jobs: int = 1,
    company: Distribution = ALONE,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Join the clips into new ones of the folder, in every representation, with captions; a company shares the work.

    Args:
        progress: called with (clips done, clips in all).
    """
    work = partial(_write, folder=folder, blend=blend)
    for done, _ in enumerate(mapped(work, planned, jobs, company), start=1):
        if progress is not None:
            progress(done, len(planned))


def shortfalls(made: Mapping[str, Composed], recipe: CompositionRecipe) -> list[str]:
    """A sentence for each sort of group of which a split has fewer than the recipe asks for."""
    found = Counter(group.rpartition("-")[0] for group in {composed.group for composed in made.values()})
    sorts = {
        "pair": "pairs",
        "three": "threes",
        "count": "counts",
        "together": "together",
        "even-number": "even",
        "even-order": "even",
    }
    sentences = []
    for sort, name in sorts.items():
        for split, wanted in getattr(recipe, name).items():
            if (there := found[f"{split}-{sort}"]) < wanted:
                sentences.append(
                    f"compose.{name}: {there} of {wanted} groups in {split} ({sort}): no more clips there are of kinds, "
                    "lengths and captions that can be joined."
                )
    return sentences


def _write(composed: Composed, folder: Path, blend: int) -> None:
    parts = []
    for clip, frames in composed.parts:
        joints = torch.from_numpy(np.load(folder / FOLDERS[JOINTS] / f"{clip}.npy")).double()
        parts.append(liveliest(joints.reshape(len(joints), -1, 3), frames))
    if composed.together:
        joints = meanwhile(parts[0], parts[1], blend)  # (T, J, 3)
    elif composed.rests:
        joints = repeated(parts[0], len(parts), blend)
    else:
        joints = join(parts, blend)
    if composed.length is not None:
        joints = paced(joints, composed.length, Random(composed.clip))
    save_clip(composed.clip, joints[None].float(), folder)
    text = folder / TEXTS / f"{composed.clip}.txt"
    text.write_text(text_lines(composed.captions), encoding="utf-8")


def liveliest(joints: Tensor, frames: int) -> Tensor:
    """(frames, J, 3), the part of (T, J, 3) with the most movement: a cut dance is not the pose that it begins with."""
    speed = joints.diff(dim=0).norm(dim=-1).mean(1)  # (T - 1,)
    moved = torch.cat((speed.new_zeros(1), speed.cumsum(0)))  # (T,)
    start = int((moved[frames - 1 :] - moved[: len(moved) - frames + 1]).argmax())
    return joints[start : start + frames]


def composed_rows(
    columns: Sequence[str], composed: Mapping[str, Composed], split_column: str
) -> list[dict[str, str]]:
    """Rows of `index.csv` for composed clips; columns that say nothing of them stay empty."""
    return [
        dict.fromkeys(columns, "")
        | {
            "clip_id": clip,
            "content": made.label,
            "style": STYLE,
            "group": made.group,
            PARTS: PART.join(dict.fromkeys(part for part, _ in made.parts)),
            split_column: made.split,
        }
        for clip, made in composed.items()
    ]


def append_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Add rows to a CSV, and the columns that it lacks."""
    with open(path, encoding="utf-8", newline="") as file:
        old = list(csv.DictReader(file))
    columns = list(dict.fromkeys([*(old[0] if old else ()), *(name for row in rows for name in row)]))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *rows])
