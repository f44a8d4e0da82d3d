"""The prompts a generator is tuned on: texts with lengths, and recorded motions where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.generators.base import Generator
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import generator_for


@dataclass(frozen=True)
class PromptSet:
    """N prompts.

    lengths: (N,) int64 frames wanted, at the generator's own rate: what a prompt carries is seconds.
    labels: (N,) int64, equal for the same kind of motion, or None.
    dataset: where recorded motions are; rows: (N,) the items of it, one a prompt.
    """

    texts: list[str]
    lengths: Tensor
    labels: Tensor | None = None
    dataset: MotionDataset | None = None
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def identity(self) -> str:
        """A hash of texts and lengths, and of the data set they come from."""
        lengths = ",".join(str(length) for length in self.lengths.tolist())
        return text_hash(*self.texts, lengths, "" if self.dataset is None else self.dataset.identity)

    def motions(self, items: Tensor, representation: str, fps: float) -> Tensor:
        """(B, T, D) recorded motions of some prompts at that rate, de-normalised, T the longest of their lengths.

        A clip that is a frame short of its length (resampling ends at the last frame within it) holds its last one.
        """
        assert self.dataset is not None and self.rows is not None, "these prompts have no recorded motions"
        recorded = Motions(self.dataset, representation, fps)
        clips = [recorded.motion(int(row)) for row in self.rows[items]]
        return pad([held(clip, int(n)) for clip, n in zip(clips, self.lengths[items], strict=True)])[0]

    def head(self, count: int) -> "PromptSet":
        """At most `count` prompts, evenly spread over the set so that every kind is kept."""
        if count >= len(self):
            return self
        items = torch.linspace(0, len(self) - 1, count).round().long()
        pick = [None if part is None else part[items] for part in (self.labels, self.rows)]
        return PromptSet(
            [self.texts[i] for i in items.tolist()], self.lengths[items], pick[0], self.dataset, pick[1]
        )


def held(clip: Tensor, frames: int) -> Tensor:
    """(T, D) cut to `frames`, or with its last frame held so long."""
    return clip[torch.arange(frames).clamp(max=len(clip) - 1)]


def from_texts(texts: Sequence[str], generator: Generator, seconds: Tensor) -> PromptSet:
    """Prompts of (N,) `seconds` each."""
    return PromptSet(list(texts), generator.frames(seconds))


def from_dataset(dataset: MotionDataset, generator: Generator, seed: int) -> PromptSet:
    """One prompt a clip: a caption drawn by the seed, the clip's duration and its label."""
    draws = generator_for(seed, "captions")
    picks = torch.rand(len(dataset), generator=draws)
    captions = [item.captions for item in dataset.items]
    texts = [choices[int(p * len(choices))].text for choices, p in zip(captions, picks, strict=True)]
    rows = torch.arange(len(dataset))
    frames = generator.frames(dataset.lengths / dataset.fps)
    return PromptSet(texts, frames, dataset.labels, dataset, rows)
