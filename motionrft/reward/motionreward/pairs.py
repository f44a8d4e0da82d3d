"""Preference pairs: made from real motion and known faults, read from a list, or from the published files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.files import read_motions
from motionrft.files.reading import ReadingOptions
from motionrft.parsing import json_lines, parsing, text_of
from motionrft.representations.joints import metres_per_unit
from motionrft.representations.resample import resample
from motionrft.reward.motionreward.clips import Clip, Pair, clips_of
from motionrft.reward.motionreward.perturbations import PERTURBATIONS
from motionrft.training.seeds import generator_for, item_seed

STRENGTHS = (0.0, 0.15, 0.35, 0.65, 1.0)
"""The grades. A pair is two different ones of the same fault; the fainter is better."""


def perturbed_pairs(
    data: MotionDataset, count: int, kinds: Sequence[str], representations: Sequence[str], seed: int
) -> list[Pair]:
    """Pairs from clips of a split and faults of graded strength.

    Every clip is used about equally often. Half of the better ones are the untouched clip.

    Raises:
        UserError: an unknown kind of fault.
    """
    unknown = [kind for kind in kinds if kind not in PERTURBATIONS]
    if unknown:
        raise UserError(f"no perturbation is called {unknown[0]!r}; there are {', '.join(PERTURBATIONS)}")
    draws = generator_for(seed, "pairs", data.split)
    better: list[Tensor] = []
    worse: list[Tensor] = []
    names: list[str] = []
    order = torch.randperm(len(data), generator=draws)
    for number in range(count):
        joints = data.motion(int(order[number % len(data)]), "joints").unflatten(-1, (-1, 3))  # (T, J, 3)
        unit = metres_per_unit(joints[None])
        kind = kinds[number % len(kinds)]
        faint, plain = _grades(draws)
        own = item_seed(seed, "fault", number)
        for strength, into in ((faint, better), (plain, worse)):
            seeded = torch.Generator().manual_seed(own)
            into.append(PERTURBATIONS[kind](joints * unit, strength, seeded, data.fps) / unit)
        names.append(kind)
    offsets = data.target_offsets
    good, bad = (clips_of(side, "joints", representations, offsets) for side in (better, worse))
    return [Pair(*three) for three in zip(good, bad, names, strict=True)]


def _grades(draws: torch.Generator) -> tuple[float, float]:
    first = 0 if torch.rand((), generator=draws) < 0.5 else int(torch.randint(1, 4, (), generator=draws))
    second = int(torch.randint(first + 1, len(STRENGTHS), (), generator=draws))
    return STRENGTHS[first], STRENGTHS[second]


def read_pairs(
    path: Path,
    representations: Sequence[str],
    reading: ReadingOptions | None = None,
    fps: float | None = None,
) -> list[Pair]:
    """Pairs from `pairs.jsonl`: one `{"better": FILE, "worse": FILE, "kind": "…"}` a line, files beside it.

    Args:
        reading: how the files are read. fps: rate of the clips that are wanted; None leaves each at its own.

    Raises:
        UserError: a line is no such object, or a file is no motion.
    """
    pairs = []
    for place, entry in json_lines(path):
        better, worse = (
            read_clip(path.parent / text_of(entry, side, place), representations, reading, fps)
            for side in ("better", "worse")
        )
        pairs.append(Pair(better, worse, str(entry.get("kind", "given"))))
    if not pairs:
        raise UserError(f"{path}: holds no pair")
    return pairs


def read_clip(
    path: Path, representations: Sequence[str], reading: ReadingOptions | None, fps: float | None
) -> Clip:
    """The one motion of a file in some representations, at the rate that is wanted, or its own.

    Raises:
        UserError: it is damaged, or holds several motions.
    """
    motion, *others = read_motions(path, options=reading)
    if others:
        raise UserError(f"{path}: holds {1 + len(others)} motions, and a pair is of one a side.")
    frames = resample(torch.from_numpy(motion.array), motion.representation, motion.fps, fps or motion.fps)
    return clips_of([frames], motion.representation, representations)[0]


def published_pairs(content: Any, path: Path, representation: str) -> list[Pair]:
    """Pairs from a published `critic_*.pth`, opened: a list of pairs, or one dictionary of two stacks.

    Motions are raw, one representation a file, (T, F), (1, T, F), (T, 22, 3) or (1, T, 22, 3).

    Raises:
        UserError: it holds something else.
    """
    with parsing(path, "a list of pairs with motion_better and motion_worse"):
        if isinstance(content, dict) and "motion_better" in content:
            sides = [content["motion_better"], content["motion_worse"]]
        else:
            sides = [[entry[f"motion_{side}"] for entry in content] for side in ("better", "worse")]
        better, worse = ([_flat(motion) for motion in side] for side in sides)
        return [
            Pair({representation: good}, {representation: bad}, "published")
            for good, bad in zip(better, worse, strict=True)
        ]


def _flat(motion: Any) -> Tensor:
    """(T, F), whichever of the published shapes it has."""
    frames = torch.as_tensor(motion).float()
    if frames.dim() == 4 or (frames.dim() == 3 and frames.shape[-2:] not in ((22, 3), (21, 3))):
        if len(frames) != 1:
            raise UserError(
                f"{len(frames)} motions on one side of a pair, shape {tuple(frames.shape)}: one is expected."
            )
        frames = frames[0]
    return frames.flatten(1)
