"""The prompts a generator is tuned on: texts with lengths, and recorded motions where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import generator_for


@dataclass(frozen=True)
class PromptSet:
    """N prompts.

    texts: what each says when it is first met.
    lengths: (N,) int64 frames wanted, at the generator's own rate: what a prompt carries is seconds.
    labels: (N,) int64, equal for the same kind of motion, or None.
    dataset: where recorded motions are; rows: (N,) the items of it, one a prompt.
    captions: everything that each may say, its `texts` first, or None where that is all.
    """

    texts: list[str]
    lengths: Tensor  # (N,)
    labels: Tensor | None = None  # (N,)
    dataset: MotionDataset | None = None
    rows: Tensor | None = None  # (N,)
    captions: list[tuple[str, ...]] | None = None
    _recorded: dict[tuple[str, float], Motions] = field(default_factory=dict, repr=False, compare=False)
    """By representation and rate, so that what was converted lately is not converted again."""

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

    def motions(self, items: Tensor, representation: str, fps: float) -> Tensor:
        """(B, T, D) recorded motions of some prompts at that rate, de-normalised, T the longest of their lengths.

        A clip that is a frame short of its length (resampling ends at the last frame within it) holds its last one.
        """
        assert self.dataset is not None and self.rows is not None, "these prompts have no recorded motions"
        key = (representation, fps)
        if key not in self._recorded:
            self._recorded[key] = Motions(self.dataset, *key)
        recorded = self._recorded[key]
        clips = [recorded.motion(int(row)) for row in self.rows[items]]
        return pad([held(clip, int(n)) for clip, n in zip(clips, self.lengths[items], strict=True)])[0]

    def head(self, count: int) -> "PromptSet":
        """At most `count` prompts, evenly spread over the set so that every kind is kept."""
        if count >= len(self):
            return self
        items = torch.linspace(0, len(self) - 1, count).round().long()  # (count,)
        pick = [None if part is None else part[items] for part in (self.labels, self.rows)]
        captions = None if self.captions is None else [self.captions[i] for i in items.tolist()]
        texts = [self.texts[i] for i in items.tolist()]
        return PromptSet(texts, self.lengths[items], pick[0], self.dataset, pick[1], captions)


def held(clip: Tensor, frames: int) -> Tensor:
    """(T, D) cut to `frames`, or with its last frame held so long."""
    return clip[torch.arange(frames).clamp(max=len(clip) - 1)]  # (frames, D)


def from_texts(texts: Sequence[str], generator: TextToMotion, seconds: Tensor) -> PromptSet:
    """Prompts of (N,) `seconds` each."""
    return PromptSet(list(texts), generator.frames(seconds))


def from_dataset(dataset: MotionDataset, generator: TextToMotion, seed: int) -> PromptSet:
    """One prompt a clip: its captions from one drawn by the seed on, the clip's duration and its label."""
    draws = generator_for(seed, "captions")
    picks = torch.rand(len(dataset), generator=draws)  # (N,)
    captions = [
        _from(tuple(caption.text for caption in item.captions), float(p))
        for item, p in zip(dataset.items, picks, strict=True)
    ]
    texts, rows = [choices[0] for choices in captions], torch.arange(len(dataset))
    frames = generator.frames(dataset.lengths / dataset.fps)  # (N,)
    return PromptSet(texts, frames, dataset.labels, dataset, rows, captions)


def _from(captions: tuple[str, ...], share: float) -> tuple[str, ...]:
    """The same captions, turned so that the one at `share` of them comes first."""
    first = int(share * len(captions))
    return captions[first:] + captions[:first]
