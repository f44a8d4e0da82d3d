"""Where the motions of an evaluation come from: the interface, and a generator behind it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from motionrft.data import pad
from motionrft.evaluation.items import Drawn
from motionrft.evaluation.measure import converted
from motionrft.evaluation.sampled_parts import Batches, SampledParts
from motionrft.generators.sampling import joined, sample_batches
from motionrft.generators.text_to_motion import Sampled, Sampling, TextToMotion
from motionrft.representations.joints import in_metres, resample_linear
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import generator_for, item_seed


@dataclass(frozen=True)
class Made:
    """Motions for the items of one repetition: (N, T, D), de-normalised, in `representation`, (N,)
    `lengths`."""

    motion: Tensor  # (N, T, D)
    lengths: Tensor  # (N,)
    representation: str
    fps: float
    unusable: int | None = None
    """How many were no motion, and are a mean pose instead; None of a source whose motions all are."""
    rest: Tensor | None = None
    """Rest joints that conversions of the motions need, where they do (`TextToMotion.feature_rest`)."""

    def at(self, fps: float) -> "Made":
        """The same motions at another rate, as joints; unchanged where it is theirs."""
        if fps == self.fps:
            return self
        joints, lengths = self.joints()
        spans = zip(joints, lengths.tolist(), strict=True)
        clips = [resample_linear(clip[:frames], self.fps, fps) for clip, frames in spans]  # (T', J, 3) each
        return Made(*pad(clips), "joints", fps, self.unusable)

    def clips(self) -> list[Tensor]:
        """Joints (T, J, 3) in metres of every motion, on the CPU: for pictures and distances."""
        joints, lengths = self.joints()
        return [clip[:frames] for clip, frames in zip(in_metres(joints), lengths.tolist(), strict=True)]

    def joints(self) -> tuple[Tensor, Tensor]:
        """(N, T, J, 3) and (N,) frames, on the CPU."""
        rest = None if self.rest is None else self.rest.cpu()
        return converted(self.motion.cpu(), self.lengths.cpu(), self.representation, "joints", rest)


class Source(Protocol):
    """Where motions come from."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def identity(self) -> str:
        """A hash of what makes the motions."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What belongs to the record: steps, guidance, …"""

    def available(self, drawn: Drawn) -> Drawn:
        """The items there are motions for, with the captions they were made from."""

    def make(self, drawn: Drawn, seed: int) -> Made:
        """Motions for the drawn items; the same seed gives the same motions."""


def _nobody_counts(motions: int) -> None: ...


@dataclass(frozen=True)
class GeneratorSource:
    """Samples of a generator, each item's noise from its own seed."""

    generator: TextToMotion
    name: str = "generator"
    identity: str = ""
    sampling: Sampling | None = None
    """None: as the generator samples of its own accord."""
    batch: int = 32
    dtype: torch.dtype = torch.float32
    made: Callable[[int], None] = _nobody_counts
    """Told how many more motions there are, batch by batch."""
    company: Distribution = ALONE
    """The processes that sample together, some batches each; all of them get all motions."""
    parts: SampledParts | None = None
    """Where a job of an array keeps its batches, or where those of all jobs are."""

    @property
    def settings(self) -> Mapping[str, Any]:
        return (self.sampling or self.generator.sampling()).plain()

    @property
    def may_fail(self) -> bool:
        """Whether it may write what is no motion: a language model without a mask."""
        return self.settings.get("masked") is False

    def available(self, drawn: Drawn) -> Drawn:
        """All of them: a generator makes what is asked."""
        return drawn

    def make(self, drawn: Drawn, seed: int) -> Made:
        """Noise of item `key` depends on (seed, key) alone: not on the batch, its order or the other
        items."""
        return self.of_texts(*self._asked(drawn, seed))

    def variants(self, drawn: Drawn, seed: int, captions: int, repeats: int) -> Made:
        """`repeats` motions of each of `captions` drawn items, item by item: for MultiModality."""
        return self.of_texts(*self._variants(drawn, seed, captions, repeats))

    def keep_share(self, drawn: Drawn, seed: int, captions: int, repeats: int) -> None:
        """Sample and keep this job's share of `make`, and of `variants` where `captions` is not 0."""
        assert self.parts is not None
        asked = [self._asked(drawn, seed)] + (
            [self._variants(drawn, seed, captions, repeats)] if captions else []
        )
        for each in asked:
            self.parts.keep(self._key, each[2], self._sampled(*each, self.parts.share or (0, 1)))

    def _asked(self, drawn: Drawn, seed: int) -> tuple[list[str], Tensor, list[int]]:
        """Texts, (N,) seconds and seeds of the items."""
        return (
            [caption.text for caption in drawn.captions],
            drawn.seconds,
            [item_seed(seed, key) for key in drawn.keys],
        )

    def _variants(
        self, drawn: Drawn, seed: int, captions: int, repeats: int
    ) -> tuple[list[str], Tensor, list[int]]:
        random = generator_for(seed, "multimodality captions")
        chosen = (
            torch.randperm(len(drawn.keys), generator=random)[:captions].repeat_interleave(repeats).tolist()
        )
        seeds = [item_seed(seed, drawn.keys[i], n % repeats) for n, i in enumerate(chosen)]
        return [drawn.captions[i].text for i in chosen], drawn.seconds[torch.tensor(chosen)], seeds

    @property
    def _key(self) -> str:
        """What distinguishes this source's motions from another's."""
        return text_hash(self.name, self.identity, repr(sorted(self.settings.items())))

    def of_texts(self, texts: Sequence[str], seconds: Tensor, seeds: list[int]) -> Made:
        """Motions (N, T, D) of N texts, (N,) `seconds` and `seeds`: sampled by all processes, or read."""
        generator = self.generator
        if self.parts is None:
            share = (self.company.place, self.company.processes)
            found = self._of_all(self._sampled(texts, seconds, seeds, share))
        else:
            found = self.parts.take(self._key, seeds)
            self.made(len(seeds))
        all_of_them = joined(*zip(*found, strict=True))
        return Made(
            all_of_them.motion.float(),
            all_of_them.lengths,
            generator.representation,
            generator.fps,
            int((~all_of_them.usable).sum()) if self.may_fail else None,
            generator.feature_rest,
        )

    def _sampled(
        self, texts: Sequence[str], seconds: Tensor, seeds: list[int], share: tuple[int, int]
    ) -> Batches:
        """A share of the batches."""
        generator = self.generator
        frames = generator.frames(seconds)  # (N,)
        condition = generator.encode_text(texts).to(generator.device)
        precision = None if self.dtype == torch.float32 else self.dtype
        found: Batches = []
        # As many in a batch as keep every process at work.
        batch = min(self.batch, -(-len(seeds) // self.company.processes))
        with evaluating(generator):
            for chosen, sampled in sample_batches(
                generator,
                condition,
                frames,
                seeds,
                self.sampling,
                batch,
                precision,
                share,
            ):
                found.append((chosen, sampled))
                self.made(len(chosen))
        return found

    def _of_all(self, found: Batches) -> Batches:
        """The batches of every process."""
        if self.company.processes == 1:
            return found
        sent = [
            (items, Sampled(each.motion.cpu(), each.lengths.cpu(), each.usable.cpu()))
            for items, each in found
        ]
        everyone = [batch for part in self.company.gather(sent) for batch in part]
        self.made(sum(len(items) for items, _ in everyone) - sum(len(items) for items, _ in found))
        return everyone


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout off, and as it was again afterwards: a generator may be judged in the middle of its training."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in training.items():
            part.training = mode
