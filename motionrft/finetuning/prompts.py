"""The prompts a generator is tuned on: texts with lengths, and recorded motions where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

    texts: what each says when it is first met.
    lengths: (N,) int64 frames wanted.
    labels: (N,) int64, equal for the same kind of motion, or None.
    dataset: where recorded motions are; rows: (N,) the items of it, one a prompt.
    captions: everything that each may say, its `texts` first, or None where that is all.
    """

    texts: list[str]
    lengths: Tensor
    labels: Tensor | None = None
    dataset: MotionDataset | None = None
    rows: Tensor | None = None
    captions: list[tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def caption(self, item: int, visit: int) -> int:
        """Which of its captions a prompt says when it was met `visit` times before: each in turn."""
        return 0 if self.captions is None else visit % len(self.captions[item])

    def text(self, item: int, caption: int) -> str:
        """What the caption of that number says."""
        return self.texts[item] if self.captions is None else self.captions[item][caption]

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
        return replace(self, lengths=lengths)

    def head(self, count: int) -> "PromptSet":
        """At most `count` prompts, evenly spread over the set so that every kind is kept."""
        if count >= len(self):
            return self
        items = torch.linspace(0, len(self) - 1, count).round().long()
        pick = [None if part is None else part[items] for part in (self.labels, self.rows)]
        captions = None if self.captions is None else [self.captions[i] for i in items.tolist()]
        texts = [self.texts[i] for i in items.tolist()]
        return PromptSet(texts, self.lengths[items], pick[0], self.dataset, pick[1], captions)


def from_texts(texts: Sequence[str], generator: Generator, frames: int | None = None) -> PromptSet:
    """Prompts that say nothing of their length: all get `frames`, by default four seconds."""
    length = frames or round(DEFAULT_SECONDS * generator.fps)
    return PromptSet(list(texts), torch.full((len(texts),), length)).fitted(generator)


def from_dataset(dataset: MotionDataset, generator: Generator, seed: int) -> PromptSet:
    """One prompt a clip: its captions from one drawn by the seed on, the clip's length and its label."""
    draws = generator_for(seed, "captions")
    picks = torch.rand(len(dataset), generator=draws)
    captions = [
        _from(tuple(caption.text for caption in item.captions), float(p))
        for item, p in zip(dataset.items, picks, strict=True)
    ]
    texts, rows = [choices[0] for choices in captions], torch.arange(len(dataset))
    return PromptSet(texts, dataset.lengths, dataset.labels, dataset, rows, captions).fitted(generator)


def _from(captions: tuple[str, ...], share: float) -> tuple[str, ...]:
    """The same captions, turned so that the one at `share` of them comes first."""
    first = int(share * len(captions))
    return captions[first:] + captions[:first]
