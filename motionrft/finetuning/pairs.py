"""Given pairs as prompts: whoever made them (people, a judge, another reward), DPO learns from them without sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.errors import UserError
from motionrft.files import read_motions
from motionrft.finetuning.prompts import PromptSet
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.parsing import Place, json_lines, text_of
from motionrft.representations.convert import convert
from motionrft.representations.resample import resample
from motionrft.training.fingerprints import path_hash


@dataclass(frozen=True)
class PairPrompts(PromptSet):
    """Prompts with two motions each, (T, D) in the generator's representation and rate, cut to the shorter of both.

    source: the file; its hash is the set's identity.
    """

    better: tuple[Tensor, ...] = ()
    worse: tuple[Tensor, ...] = ()
    source: Path = Path()

    @property
    def identity(self) -> str:
        return path_hash(self.source)

    def motions(self, items: Tensor, representation: str, fps: float) -> Tensor:
        """(B, T, D) the better ones."""
        return pad([self.better[item] for item in items.tolist()])[0]

    def worse_motions(self, items: Tensor) -> Tensor:
        """(B, T, D) the others."""
        return pad([self.worse[item] for item in items.tolist()])[0]


def read_pair_prompts(path: Path, generator: TextToMotion) -> PairPrompts:
    """Read `pairs.jsonl`, the file that `train-reward --pairs` reads: `better` and `worse`, files beside it, and here
    also the `prompt` (or `text`) that both were made for.

    Raises:
        UserError: a line lacks one of them, a file is no motion, or a motion is shorter than the generator's or of
            another skeleton.
    """
    if path.suffix != ".jsonl":
        raise UserError(
            f"{path}: dpo needs the prompt of each pair, which published stacks of pairs do not say: give a "
            'pairs.jsonl with {"prompt", "better", "worse"} a line.'
        )
    texts, better, worse = [], [], []
    for place, entry in json_lines(path):
        texts.append(text_of(entry, "prompt" if "prompt" in entry else "text", place))
        both = [
            read_motion(path.parent / text_of(entry, side, place), generator) for side in ("better", "worse")
        ]
        frames = min(*(len(motion) for motion in both), generator.max_frames)
        _check_length(frames, generator, place)
        _check_width(both, generator, place)
        better.append(both[0][:frames])
        worse.append(both[1][:frames])
    if not texts:
        raise UserError(f"{path}: holds no pair")
    lengths = torch.tensor([len(motion) for motion in better])
    return PairPrompts(texts, lengths, better=tuple(better), worse=tuple(worse), source=path)


def read_motion(path: Path, generator: TextToMotion) -> Tensor:
    """(T, D) as the generator makes them, de-normalised.

    Raises:
        UserError: the file is damaged, holds several motions, or does not say a rate that matters.
    """
    motion, *others = read_motions(path)
    if others:
        raise UserError(f"{path}: holds {1 + len(others)} motions, and a pair is of one a side.")
    if motion.rate_note and motion.fps != generator.fps:
        raise UserError(
            f"{path}: does not say its rate, which may be {motion.fps:g} or the generator's {generator.fps:g} frames a "
            "second. Write it as .npz with fps in it."
        )
    frames = torch.from_numpy(motion.array).flatten(1)
    frames = resample(frames, motion.representation, motion.fps, generator.fps)
    return convert(frames[None], motion.representation, generator.representation)[0].flatten(1)


def _check_length(frames: int, generator: TextToMotion, place: Place) -> None:
    if frames < generator.min_frames:
        place.fail(
            f"the shorter motion has {frames} frames; this generator makes at least {generator.min_frames}"
        )


def _check_width(motions: Sequence[Tensor], generator: TextToMotion, place: Place) -> None:
    wanted = generator.motion_width
    found = [motion.shape[1] for motion in motions if wanted not in (None, motion.shape[1])]  # of (T, F)
    if found:
        place.fail(
            f"the motion has {found[0]} features a frame, and this generator makes {wanted} "
            "(263 is HumanML3D, 251 KIT-ML)"
        )
