"""Real and generated clips of equal lengths: what authenticity is learnt from.

The published loader reports 196 frames for every real clip and the true length for generated ones, so its length
alone tells the class. Here each generated clip is matched with a real one cut to the same number of frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.files import FileFault, iterate_motions, motion_files
from motionrft.files.reading import ReadingOptions
from motionrft.generators.sampling import sample
from motionrft.generators.text_to_motion import Asked, TextToMotion, asked_of
from motionrft.representations.resample import resample
from motionrft.reward.motionreward.clips import Clip, clips_of
from motionrft.training.seeds import generator_for, item_seed

REAL, GENERATED = 0, 1


@dataclass(frozen=True)
class Labelled:
    """A clip and whether it is real (0) or generated (1)."""

    clip: Clip
    label: int


def sampled_fakes(
    generator: TextToMotion,
    data: MotionDataset,
    count: int,
    representations: Sequence[str],
    seed: int,
    steps: int | None = None,
    guidance: float | None = None,
) -> list[Clip]:
    """Clips that a generator makes of a split's own captions, each as long as its caption's clip, at the data's rate."""
    items = torch.randperm(len(data), generator=generator_for(seed, "fakes"))[:count].tolist()
    lengths = generator.frames(data.lengths[items] / data.fps)
    condition = generator.encode_text([data.items[item].captions[0].text for item in items])
    seeds = [item_seed(seed, "fake", item) for item in items]
    asked = Asked(steps=steps, guidance=guidance)
    made = sample(generator, condition, lengths, seeds, asked_of(generator, asked))
    kind = generator.representation
    clips = [clip.cpu() for clip in made.clips()]
    clips = [resample(clip, kind, generator.fps, data.fps) for clip in clips]
    return clips_of(clips, kind, representations, data.target_offsets)


def read_fakes(
    folder: Path,
    representations: Sequence[str],
    reading: ReadingOptions | None = None,
    fps: float | None = None,
) -> list[Clip]:
    """Generated clips from motion files, below a folder or one by one.

    Args:
        reading: how files are read where they do not say it.
        fps: rate of the clips that are wanted; None leaves each at its own.

    Raises:
        UserError: a file is no motion, or there is none.
    """
    by_kind: dict[str, list[Tensor]] = {}
    for found in iterate_motions(motion_files([folder]), options=reading):
        if isinstance(found, FileFault):
            raise UserError(found.message)
        clip = torch.from_numpy(found.array).float()
        clip = resample(clip, found.representation, found.fps, fps or found.fps)
        by_kind.setdefault(found.representation, []).append(clip)
    return [clip for kind, motions in by_kind.items() for clip in clips_of(motions, kind, representations)]


def published_fakes(content: Any, path: Path, representation: str, official: str) -> list[Clip]:
    """Generated clips from a published `ai_generated_*.pth`, opened: motions (N, 196, …) zero padded, and lengths.

    Raises:
        UserError: it has no such representation.
    """
    try:
        part = content[official]
        motions, lengths = torch.as_tensor(part["motions"]).float(), torch.as_tensor(part["lengths"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: has no motions of {official} with lengths") from None
    return [
        {representation: motion[: int(length)].flatten(1)}
        for motion, length in zip(motions, lengths, strict=True)
    ]


def matched(data: MotionDataset, fakes: Sequence[Clip], seed: int) -> list[Labelled]:
    """Every generated clip and a real one of exactly its length, in turn.

    Both are cut where the real one is shorter, so the two classes have the same lengths, clip by clip.
    """
    draws = generator_for(seed, "reals")
    found = []
    for clip in fakes:
        names = [name for name in clip if name in data.representations]
        wanted = min(len(clip[name]) for name in names)
        long_enough = torch.nonzero(data.lengths >= wanted)[:, 0]
        if len(long_enough) == 0:
            long_enough = data.lengths.argmax()[None]
        item = int(long_enough[int(torch.randint(len(long_enough), (), generator=draws))])
        count = min(wanted, data.items[item].length)
        # From its first frame: generated clips start in the canonical pose too, so a cut from the middle would tell.
        real = {name: data.motion(item, name)[:count] for name in names}
        fake = {name: clip[name][:count] for name in names}
        found += [Labelled(real, REAL), Labelled(fake, GENERATED)]
    return found


def length_baseline(train: Sequence[Labelled], test: Sequence[Labelled], representation: str) -> float:
    """Accuracy of a classifier that sees lengths alone: chance where lengths tell nothing.

    It learns the more frequent class of every length (ties say real), the best that lengths can do.
    """
    votes: dict[int, int] = {}
    for item in train:
        count = len(item.clip[representation])
        votes[count] = votes.get(count, 0) + (1 if item.label == GENERATED else -1)
    right = [
        (GENERATED if votes.get(len(item.clip[representation]), 0) > 0 else REAL) == item.label
        for item in test
    ]
    return sum(right) / len(right)
