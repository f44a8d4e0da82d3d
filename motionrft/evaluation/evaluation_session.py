"""From the preset of `motionrft eval` to results: what is loaded, for which kind of evaluation, in which
order."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from motionrft import builtin
from motionrft.data import FOLDERS, MotionDataset
from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.critics import evaluate_authenticity, evaluate_preference
from motionrft.evaluation.evaluators import Evaluator, load_evaluator
from motionrft.evaluation.events import evaluate_events
from motionrft.evaluation.folder import FolderSource
from motionrft.evaluation.generation import MULTIMODALITY_REPEATS, GenerationProtocol
from motionrft.evaluation.items import Drawn, EvaluationItems, FixedItems, OfficialItems
from motionrft.evaluation.motion_physics import evaluate_physics
from motionrft.evaluation.numbers import check_enough
from motionrft.evaluation.preset import EvalPreset
from motionrft.evaluation.report import Gallery
from motionrft.evaluation.result import EvaluationResult
from motionrft.evaluation.retrieval_protocols import evaluate_retrieval
from motionrft.evaluation.sampled_parts import SampledParts
from motionrft.evaluation.sources import GeneratorSource, Source
from motionrft.files.clip_store import holds_motions
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.generators.text_to_motion import asked_of
from motionrft.generators.token_generator import TokenGenerator
from motionrft.loading import generator_identity, load_generator, load_reward, loaded_for, reward_identity
from motionrft.preferences.prompts import EventPrompt, read_event_prompts, template_prompts
from motionrft.preferences.run import judge_of
from motionrft.reward.base import Reward
from motionrft.text import load_text_encoder
from motionrft.training.devices import name_of_precision
from motionrft.training.distribution import ALONE, Distribution

ANY_LENGTH = 10**9
_PAGE_BYTES, _PICTURE_BYTES = 150_000, 35_000
"""Of a report without pictures, and of one motion of 100 frames on it."""


def _nobody_looks(subject: str, motions: int) -> None: ...


@dataclass
class EvaluationSession:
    """One call of `motionrft eval`.

    progress: told (subject, how many more motions are judged).
    """

    preset: EvalPreset
    device: torch.device
    dtype: torch.dtype = torch.float32
    progress: Callable[[str, int], None] = _nobody_looks
    galleries: list[Gallery] = field(default_factory=list)
    parts: SampledParts | None = None
    """Where jobs of an array keep what they sample, or where all have."""
    company: Distribution = ALONE
    """The processes that share the sampling, or the files; all of them get the whole result."""
    same_noise: bool = False
    """Whether the systems of the last `generation` sampled each prompt from the same noise."""

    @property
    def seeds(self) -> list[int]:
        return list(range(self.preset.seed, self.preset.seed + self.preset.repeats))

    @cached_property
    def evaluator(self) -> Evaluator:
        return load_evaluator(self.preset.evaluator, self.device, self.preset.representation)

    @cached_property
    def items(self) -> EvaluationItems:
        """The test items: of the data set, or those that travel with the package."""
        preset = self.preset
        if preset.selection == "official":
            if preset.data is None:
                raise UserError("the official selection crops real motions: name their data set with --data.")
            return OfficialItems(self._dataset(ANY_LENGTH), self.evaluator, preset.min_frames)
        if preset.data is None:
            items = FixedItems.builtin(preset.split)
        else:
            items = FixedItems.of_dataset(self._dataset(), self.evaluator, preset.per_label)
        return items if preset.limit is None else items.subset(preset.limit)

    def generation(self, against: str | None = None) -> list[EvaluationResult]:
        """Judge the generator or folder, after `against` (a generator or folder too) where that is given."""
        sources = self._sources(against)
        kinds = [source.generator.kind for source in sources if isinstance(source, GeneratorSource)]
        self.same_noise = len(kinds) == len(sources) > 1 == len(set(kinds))
        return [self._evaluate(source) for source in sources]

    def keep_share(self, against: str | None = None) -> None:
        """Sample this job's share of `generation` into `parts`; nothing is judged.

        Raises:
            UserError: as `generation`, or a folder is judged, which needs no sampling.
        """
        for source in self._sources(against):
            if not isinstance(source, GeneratorSource):
                raise UserError(
                    f"{source.name} is a folder of motions: they are judged in a moment, without --shard."
                )
            source = replace(source, made=partial(self.progress, source.name))
            for seed in self.seeds:
                drawn = source.available(self.items.draw(seed))
                source.keep_share(drawn, seed, self.preset.multimodality, MULTIMODALITY_REPEATS)

    def motions(self, against: str | None = None) -> int:
        """How many motions `generation` will sample, MultiModality aside."""
        systems = (against is not None) + (self.preset.motions is None)
        return systems * self.preset.repeats * len(self.items.draw(self.preset.seed).keys)

    def estimate(self, against: str | None = None) -> dict[str, float]:
        """What `generation` would cost, from two denoising steps (or all tokens) of one batch; everything else is
        checked on the way.

        Returns:
            items, repetitions, parameters, seconds_per_step (of a batch), seconds and bytes in all.
        """
        preset, sources, seconds, each_step = self.preset, self._sources(against), 0.0, 0.0
        for source in sources:
            drawn = source.available(self.items.draw(preset.seed))
            check_enough(len(drawn.keys))
            if isinstance(source, GeneratorSource):
                first = drawn.index(torch.arange(min(preset.batch, len(drawn.keys))))
                trial, steps = self._trial(source, first)
                start = time.perf_counter()
                trial.make(first, preset.seed)
                each_step = (time.perf_counter() - start) / (2 if trial is not source else steps)
                batches = preset.repeats * -(-len(drawn.keys) // preset.batch)
                seconds += each_step * batches * steps
        generators = [source.generator for source in sources if isinstance(source, GeneratorSource)]
        return {
            "items": len(self.items.draw(preset.seed).keys),
            "repetitions": preset.repeats,
            "parameters": sum(p.numel() for generator in generators for p in generator.parameters()),
            "seconds_per_step": each_step,
            "seconds": seconds,
            "bytes": _PAGE_BYTES + preset.pictures * len(sources) * _PICTURE_BYTES,
        }

    @staticmethod
    def _trial(source: GeneratorSource, first: Drawn) -> tuple[GeneratorSource, int]:
        """A source that makes two denoising steps, with the steps of a whole batch; of tokens, the source as it is."""
        generator = source.generator
        if isinstance(generator, TokenGenerator):
            return source, -(-int(generator.frames(first.seconds).max()) // generator.stride)
        sampling = source.sampling or generator.sampling()
        assert isinstance(sampling, SamplingSettings), "a diffusion's own"
        if sampling.steps is None:
            raise UserError(
                f"--dry-run cannot tell how many steps {sampling.sampler} will take; estimate with --sampler euler."
            )
        return replace(source, sampling=replace(sampling, steps=2)), sampling.steps

    def retrieval(self) -> EvaluationResult:
        """How well the evaluator, or the reward where one is named, finds real motions by text and back."""
        preset = self.preset
        if preset.reward is None:
            judge = self.evaluator
        else:  # `builtin` means the reward here
            place = builtin.resolve(preset.reward, "reward")
            judge = load_evaluator(place, self.device, preset.representation)
        if preset.data is None:
            items = FixedItems.builtin(preset.split)
        else:
            items = FixedItems.of_dataset(self._dataset(), judge, preset.per_label)
        items = items if preset.limit is None else items.subset(preset.limit)
        subset = None if preset.subset is None else Path(preset.subset)
        sentences = load_text_encoder(preset.sentences)
        return evaluate_retrieval(judge, items, self.seeds, sentences, preset.threshold, subset)

    def preference(self) -> EvaluationResult:
        """How well the reward's critic prefers what people preferred."""
        reward, identity = self._reward_of("preference")
        if self.preset.data is None:
            raise UserError("name the preference pairs with --data: a folder with better/ and worse/.")
        name = self.preset.name or self.preset.reward or builtin.NAME
        preset = self.preset
        return evaluate_preference(
            reward,
            Path(self.preset.data),
            name,
            identity,
            batch=preset.batch,
            reading=preset.reading_options(),
        )

    def authenticity(self) -> EvaluationResult:
        """How well the reward tells the real motions of --data from the generated ones of --motions."""
        reward, identity = self._reward_of("authenticity")
        if self.preset.data is None or self.preset.motions is None:
            raise UserError(
                "authenticity needs real motions (--data DIR) and generated ones (--motions DIR)."
            )
        name, motions = self.preset.name or self.preset.reward or builtin.NAME, Path(self.preset.motions)
        return evaluate_authenticity(
            reward,
            self._dataset(),
            motions,
            name,
            identity,
            self.preset.seed,
            reading=self.preset.reading_options(),
        )

    def physics(self) -> tuple[EvaluationResult, list[str]]:
        """Physics of the motions of --motions, real ones of --data beside them; and the files that were
        skipped."""
        preset = self.preset
        if preset.motions is None:
            raise UserError("name the motions to measure with --motions DIR.")
        real = None if preset.data is None else self._dataset()
        return evaluate_physics(
            Path(preset.motions), real, preset.name, preset.limit, preset.reading_options(), self.company
        )

    def events(self, against: str | None = None) -> list[EvaluationResult]:
        """Events of the generator's motions, after those of `against` where that is given."""
        preset, judge = self.preset, judge_of(self.preset.events.judge, self.device)
        places = [(preset.generator or builtin.NAME, preset.name)]
        if against is not None:
            places = [(against, "before"), *places]
        self.event_motions(against)
        prompts = self._event_prompts()
        return [
            evaluate_events(
                replace(source, made=partial(self.progress, source.name)), judge, prompts, self.seeds
            )
            for source in self._as_asked([self._generator(*place) for place in places])
        ]

    def event_motions(self, against: str | None = None) -> int:
        """How many motions `events` samples.

        Raises:
            UserError: motions are given, or the prompts cannot be read.
        """
        if self.preset.motions is not None:
            raise UserError("eval events samples prompts of its own: name a generator instead of --motions.")
        return len(self._event_prompts()) * len(self.seeds) * (1 + (against is not None))

    def _event_prompts(self) -> list[EventPrompt]:
        settings = self.preset.events
        if settings.prompts is None:
            return template_prompts(settings.kinds, settings.names, 0.0, self.preset.seed)
        prompts = read_event_prompts(Path(settings.prompts))
        return [prompt for prompt in prompts if prompt.held_out] or prompts

    def _reward_of(self, term: str) -> tuple[Reward, str]:
        path = self.preset.reward or builtin.NAME
        return load_reward(path, {term: 1.0}, device=self.device), reward_identity(path)

    def _sources(self, against: str | None) -> list[Source]:
        preset = self.preset
        if preset.generator is not None and preset.motions is not None:
            raise UserError("both --generator and --motions are given: one of them is judged.")
        self.evaluator.eval()  # loaded first: a missing evaluator is told before anything slow is read
        sources = [] if against is None else [self._source(against, "before")]
        if preset.motions is not None:
            sources.append(self._folder(Path(preset.motions), preset.name))
        else:
            sources.append(self._generator(preset.generator or builtin.NAME, preset.name))
        generators = iter(self._as_asked([each for each in sources if isinstance(each, GeneratorSource)]))
        return [next(generators) if isinstance(each, GeneratorSource) else each for each in sources]

    def _as_asked(self, sources: list[GeneratorSource]) -> list[GeneratorSource]:
        """The generators sampling as the preset says, each what is for its kind."""
        every = [source.generator for source in sources]
        return [
            replace(source, sampling=asked_of(source.generator, self.preset, every)) for source in sources
        ]

    def _evaluate(self, source: Source) -> EvaluationResult:
        gallery = Gallery()
        if isinstance(source, GeneratorSource):
            source = replace(source, made=partial(self.progress, source.name))
        protocol = GenerationProtocol(
            self.evaluator,
            self.items,
            self.seeds,
            self._reward(source),
            self.preset.batch,
            self.preset.multimodality,
            precision=name_of_precision(self.dtype),
            watch=gallery.keep,
        )
        result = protocol.run(source)
        self.galleries.append(gallery)
        return result

    def _source(self, place: str, name: str) -> Source:
        """A generator, or a folder of motions: told apart by what lies there."""
        if place in builtin.GENERATORS or (Path(place) / "config.json").is_file():
            return self._generator(place, name)
        return self._folder(Path(place), name)

    def _folder(self, place: Path, name: str | None) -> FolderSource:
        preset = self.preset
        return FolderSource(place, name, preset.seed, self._captions(), preset.reading_options())

    def _captions(self) -> dict[str, tuple[Caption, ...]]:
        items = self.items
        if isinstance(items, FixedItems):
            return {item.key: item.captions for item in items.items}
        return {}

    def _generator(self, place: str, name: str | None) -> GeneratorSource:
        generator = loaded_for(self.preset, load_generator(place, self.device))
        return GeneratorSource(
            generator,
            name or _short_name(place),
            generator_identity(place),
            batch=self.preset.batch,
            dtype=self.dtype,
            company=self.company,
            parts=self.parts,
        )

    def _reward(self, source: Source) -> Reward | None:
        """The reward, reading what the source makes where it can."""
        if self.preset.reward is None:
            return None
        if not isinstance(source, GeneratorSource):
            return load_reward(self.preset.reward, device=self.device)
        made_by = source.generator
        return load_reward(
            self.preset.reward, None, made_by.representation, made_by.fps, self.device, size=made_by.size
        )

    def _dataset(self, max_frames: int = 196) -> MotionDataset:
        assert self.preset.data is not None
        folder = Path(self.preset.data)
        if folder.is_dir() and not holds_motions(folder):
            raise UserError(
                f"{folder}: no motions there: needed is one of {', '.join(FOLDERS.values())} beside texts."
            )
        return MotionDataset(self.preset.data, self.preset.split, max_frames=max_frames)


def _short_name(place: str) -> str:
    """A folder's own name; of a `generator` inside a run, the run's."""
    path = Path(place)
    return path.resolve().parent.name if path.name in ("generator", "model") else path.name
