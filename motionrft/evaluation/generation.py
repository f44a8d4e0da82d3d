"""Evaluation of generated motions: a generator, or a folder of motions that anyone made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.items import Drawn, EvaluationItems, FixedItems
from motionrft.evaluation.measure import Measured, converted, device_of, measure
from motionrft.evaluation.metrics.exact import exact
from motionrft.evaluation.numbers import (
    CANDIDATES,
    Numbers,
    check_enough,
    few_kinds,
    generation_numbers,
    multimodality,
    real_numbers,
)
from motionrft.evaluation.result import EvaluationResult, collect, machine
from motionrft.evaluation.sources import GeneratorSource, Made, Source
from motionrft.generators.text_to_motion import Sampling, TextToMotion
from motionrft.reward.base import Reward
from motionrft.training.distribution import ALONE, Distribution

NOBODY = (
    "No evaluator of this data was named, so R-Precision, MM-Dist, FID and Diversity are left out: what is shown is "
    "physics, and the reward, which is what was optimised. Name one with --evaluator DIR."
)
MULTIMODALITY_REPEATS = 30
"""Motions a caption that MultiModality is measured on, as published."""


@dataclass(frozen=True)
class Repetition:
    """One repetition as it was judged, for whoever wants pictures: rewards by name, (N,) each, `reward` the
    total."""

    seed: int
    drawn: Drawn
    made: Made
    rewards: Mapping[str, Tensor]
    numbers: Numbers


@dataclass
class GenerationProtocol:
    """How generated motions are judged.

    seeds: one repetition each. multimodality: captions to make 30 motions of, 0 leaves MultiModality out.
    progress: told (repetitions done, of how many). watch: shown each repetition.
    """

    evaluator: Evaluator
    items: EvaluationItems
    seeds: Sequence[int]
    reward: Reward | None = None
    batch: int = 32
    multimodality: int = 0
    multimodality_repeats: int = MULTIMODALITY_REPEATS
    precision: str = "fp32"
    progress: Callable[[int, int], None] | None = None
    watch: Callable[[Repetition], None] | None = None
    _texts: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def run(self, source: Source) -> EvaluationResult:
        """Judge a source, once a seed.

        Raises:
            UserError: fewer than 32 items, another frame rate than the evaluator's, or captions it cannot
                read.
        """
        if not self.seeds:
            raise UserError("an evaluation needs at least one repetition.")
        if isinstance(self.items, FixedItems):
            self.items.check_evaluator(self.evaluator)
        self._check_source(source)
        made, real, choices = [], [], []
        asked = drawn = None
        for done, seed in enumerate(self.seeds):
            asked = self.items.draw(seed)
            drawn = source.available(asked)
            if self.evaluator.embeds:
                check_enough(len(drawn.keys))
            made.append(self._repetition(source, drawn, seed))
            real.append(real_numbers(drawn, self._embed_texts(drawn.captions), seed))
            if self.items.selection == "official":
                choices.append(drawn.choices())
            if self.progress is not None:
                self.progress(done + 1, len(self.seeds))
        assert asked is not None and drawn is not None
        left_out = len(asked.keys) - len(drawn.keys)
        return EvaluationResult(
            "generation",
            {"name": source.name, "identity": source.identity},
            self._evaluator_record(),
            {"identity": self.items.identity, "split": self.items.split, "items": len(drawn.keys)},
            self._protocol(left_out) | dict(source.settings),
            list(self.seeds),
            machine(device_of(self.evaluator), self.precision),
            collect(made),
            collect(real),
            self._notes(drawn, left_out),
            choices,
        )

    def _check_source(self, source: Source) -> None:
        """A generator of another skeleton is refused before it samples."""
        if (
            isinstance(source, GeneratorSource)
            and source.generator.representation == self.evaluator.representation
        ):
            if source.generator.motion_width is not None:
                self.evaluator.check_fits(source.generator.motion_width, f"the generator {source.name}")

    def _repetition(self, source: Source, drawn: Drawn, seed: int) -> Numbers:
        made = source.make(drawn, seed)
        seen = self._measure(made)
        numbers = generation_numbers(drawn, self._embed_texts(drawn.captions), seen, seed)
        rewards = self._rewards(made, drawn.captions)
        numbers = {name: exact(value).mean() for name, value in rewards.items()} | numbers
        if made.unusable is not None:
            numbers["unusable"] = torch.tensor(made.unusable / len(made.lengths), dtype=torch.float64)
        if self.multimodality and isinstance(source, GeneratorSource):
            numbers["multimodality"] = self._multimodality(source, drawn, seed)
        if self.watch is not None:
            self.watch(Repetition(seed, drawn, made, rewards, numbers))
        return numbers

    def _measure(self, made: Made) -> Measured:
        """At the evaluator's rate: it knows no other."""
        made = made.at(self.evaluator.fps)
        return measure(self.evaluator, made.motion, made.lengths, made.representation, self.batch, made.rest)

    @torch.no_grad()
    def _rewards(self, made: Made, captions: Sequence[Caption]) -> dict[str, Tensor]:
        """`reward` and `reward/TERM`, (N,) each."""
        if self.reward is None:
            return {}
        device, parts = device_of(self.reward), []
        for start in range(0, len(captions), self.batch):
            lengths = made.lengths[start : start + self.batch]
            motion = made.motion[start : start + self.batch, : int(lengths.max())].to(device)
            motion, lengths = converted(
                motion, lengths.to(device), made.representation, self.reward.representation, made.rest
            )
            condition = self.reward.prepare([c.text for c in captions[start : start + self.batch]]).to(device)
            total, terms = self.reward(motion, lengths, condition)
            parts.append({"reward": total} | {f"reward/{name}": value for name, value in terms.items()})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _embed_texts(self, captions: Sequence[Caption]) -> Tensor:
        """(N, E), each distinct caption embedded once in all repetitions."""
        new = {_caption_key(caption): caption for caption in captions}
        new = {key: caption for key, caption in new.items() if key not in self._texts}
        missing = list(new.values())
        for start in range(0, len(missing), self.batch):
            chunk = missing[start : start + self.batch]
            for caption, embedding in zip(chunk, self.evaluator.embed_text(chunk), strict=True):
                self._texts[_caption_key(caption)] = embedding
        return torch.stack([self._texts[_caption_key(caption)] for caption in captions])

    def _multimodality(self, source: GeneratorSource, drawn: Drawn, seed: int) -> Tensor:
        made = source.variants(drawn, seed, self.multimodality, self.multimodality_repeats)
        seen = self._measure(made)
        return multimodality(seen.embeddings.unflatten(0, (-1, self.multimodality_repeats)), seed)

    def _evaluator_record(self) -> dict[str, Any]:
        judge = self.evaluator
        return {"name": judge.name, "identity": judge.identity, "comparable": judge.comparable}

    def _protocol(self, left_out: int) -> dict[str, Any]:
        protocol: dict[str, Any] = {"selection": self.items.selection, "candidates": CANDIDATES}
        if left_out:
            protocol["left_out"] = left_out
        if self.multimodality:
            protocol["multimodality"] = [self.multimodality, self.multimodality_repeats]
        return protocol

    def _notes(self, drawn: Drawn, left_out: int) -> list[str]:
        notes = []
        if left_out:
            notes.append(f"{left_out} items have no motion and are left out, on the real side too.")
        if not self.evaluator.embeds:
            notes.append(NOBODY)
        if not self.evaluator.comparable:
            notes.append(f"Judged by the {self.evaluator.name}: not comparable with published numbers.")
        if drawn.labels is not None and self.evaluator.embeds:
            notes.append(
                "Raw R-Precision is bounded by coin flips among motions of one kind; read label and distinct."
            )
            notes += filter(None, [few_kinds(drawn.labels)])
        if (
            drawn.real is not None
            and self.evaluator.embeds
            and len(drawn.keys) <= drawn.real.embeddings.shape[1]
        ):
            count, width = drawn.real.embeddings.shape
            notes.append(f"FID rests on {count} items in {width} dimensions: too few to trust.")
        return notes


def evaluate_generator(
    generator: TextToMotion,
    reward: Reward | None,
    evaluator: Evaluator,
    items: EvaluationItems,
    seeds: Sequence[int],
    sampling: Sampling | None = None,
    batch: int = 32,
    name: str = "generator",
    identity: str = "",
    progress: Callable[[int, int], None] | None = None,
    watch: Callable[[Repetition], None] | None = None,
    company: Distribution = ALONE,
) -> EvaluationResult:
    """Sample a generator on the test items, once a seed, and judge the motions.

    Items, captions, lengths and noise depend on the seed alone, so two generators under the same seeds are
    paired.

    Args:
        reward: reported beside the evaluator's numbers; None leaves it out.
        sampling: None stands for the generator's own.
        identity: hash of the generator's files, for the record.
        company: the processes that sample together, some batches each; all of them judge all motions.
    """
    source = GeneratorSource(generator, name, identity, sampling, batch, company=company)
    protocol = GenerationProtocol(evaluator, items, seeds, reward, batch, progress=progress, watch=watch)
    return protocol.run(source)


def _caption_key(caption: Caption) -> str:
    return f"{caption.text}\0{' '.join(caption.tokens)}"


__all__ = ["GenerationProtocol", "GeneratorSource", "Made", "Repetition", "Source", "evaluate_generator"]
