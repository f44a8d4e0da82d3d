"""The prompts a generator is tuned on: texts with lengths, and recorded motions where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.data.folder import MotionDataset
from motionrft.generators.base import Generator
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import generator_for

DEFAULT_SECONDS = 4.0


@dataclass(frozen=True)
class PromptSet:
    """N prompts.

    lengths: (N,) int64 frames wanted.
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

    def motions(self, items: Tensor, representation: str) -> Tensor:
        """(B, T, D) recorded motions of some prompts, padded, de-normalised."""
        assert self.dataset is not None and self.rows is not None, "these prompts have no recorded motions"
        motion, _ = pad([self.dataset.motion(int(row), representation) for row in self.rows[items]])
        return motion

    def fitted(self, generator: Generator) -> "PromptSet":
        """The same prompts with lengths the generator can make."""
        lengths = self.lengths.clamp(generator.min_frames, generator.max_frames)
        return PromptSet(self.texts, lengths, self.labels, self.dataset, self.rows)

    def head(self, count: int) -> "PromptSet":
        """At most `count` prompts, evenly spread over the set so that every kind is kept."""
        if count >= len(self):
            return self
        items = torch.linspace(0, len(self) - 1, count).round().long()
        pick = [None if part is None else part[items] for part in (self.labels, self.rows)]
        return PromptSet(
            [self.texts[i] for i in items.tolist()], self.lengths[items], pick[0], self.dataset, pick[1]
        )


def from_texts(texts: Sequence[str], generator: Generator, frames: int | None = None) -> PromptSet:
    """Prompts that say nothing of their length: all get `frames`, by default four seconds."""
    length = frames or round(DEFAULT_SECONDS * generator.fps)
    return PromptSet(list(texts), torch.full((len(texts),), length)).fitted(generator)


def from_dataset(dataset: MotionDataset, generator: Generator, seed: int) -> PromptSet:
    """One prompt a clip: a caption drawn by the seed, the clip's length and its label."""
    draws = generator_for(seed, "captions")
    picks = torch.rand(len(dataset), generator=draws)
    captions = [item.captions for item in dataset.items]
    texts = [choices[int(p * len(choices))].text for choices, p in zip(captions, picks, strict=True)]
    rows = torch.arange(len(dataset))
    return PromptSet(texts, dataset.lengths, dataset.labels, dataset, rows).fitted(generator)
