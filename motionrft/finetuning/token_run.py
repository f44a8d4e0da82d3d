"""A whole tuning run of a language model of motion tokens: pairs, updates under the watch of events, tables, report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.evaluation.generation import evaluate_generator
from motionrft.evaluation.result import EvaluationResult, compare
from motionrft.evaluation.tables import protocol_of
from motionrft.finetuning import report
from motionrft.finetuning.adapters import merged, prepare_training, save_adapters
from motionrft.finetuning.before_after import BeforeAndAfter
from motionrft.finetuning.frozen import FrozenTwin
from motionrft.finetuning.held_out import TestSet, held_out
from motionrft.finetuning.kept_evaluations import Keep
from motionrft.finetuning.loading import DIFFUSION_SETTINGS, check_fields, check_kind
from motionrft.finetuning.made_of import MadeOf, made_of_events
from motionrft.finetuning.methods.dpo import DpoPreset
from motionrft.finetuning.methods.grpo import GrpoPreset
from motionrft.finetuning.methods.sft import SftPreset
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.session import (
    ADAPTERS,
    GENERATOR,
    PLOTS,
    REPORT,
    Finetuned,
    FinetuneSession,
    card_of,
    choose_best,
)
from motionrft.finetuning.token_looks import EventLooking, SplitEvents, split_events, watch_for_events
from motionrft.finetuning.token_pairs import TokenPairs, read_token_pairs
from motionrft.finetuning.token_policy import PolicyTrainer
from motionrft.finetuning.token_preference import PairTrainer
from motionrft.finetuning.token_rounds import FreshCandidates
from motionrft.finetuning.token_supervised import RecordedTokens, SupervisedTrainer, check_dropping
from motionrft.finetuning.token_trainer import TokenTrainer
from motionrft.finetuning.watch import Looks, Seen, read_looks
from motionrft.generators.folder import save_generator
from motionrft.generators.token_generator import TokenGenerator
from motionrft.loading import load_generator, loaded_for
from motionrft.preferences.judges.base import Judge
from motionrft.preferences.preset import PROMPTS
from motionrft.preferences.prompts import EventPrompt, read_event_prompts, template_prompts
from motionrft.preferences.run import judge_of
from motionrft.report.content import ReportData
from motionrft.report.page import write_report
from motionrft.report.verdict import Row
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.loop import Outcome, train
from motionrft.training.precision import autocast
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything

HELD_OUT_EVENTS = 0.4
"""Share of prompts made by templates that the watch and the tables look at."""


@dataclass(frozen=True)
class TokenParts:
    """What a run works with. validation: event prompts and their judge; items: for the field's metrics, or None."""

    generator: TokenGenerator
    judge: Judge
    events: SplitEvents
    items: TestSet | None


class TokenRun:
    """Generator, pairs, judge and prompts of a preset, with the trainer that brings them together.

    Args:
        judge: in the place of the preset's.
    """

    def __init__(
        self,
        preset: FinetunePreset,
        session: FinetuneSession,
        distribution: Distribution | None = None,
        judge: Judge | None = None,
    ):
        self.preset, self.session = preset, session
        self.company = distribution or ALONE
        seed_everything(preset.seed)
        self.parts = _loaded(preset, session, judge)
        self.generator = self.parts.generator
        self.parameters = prepare_training(self.generator, preset.lora, preset.freeze)
        self.frozen = FrozenTwin(self.generator)
        self.sampling = self.generator.sampling()
        self.watch = None
        if preset.watch.every and self.parts.events.watched:
            self.watch = watch_for_events(preset.watch, self.parts.events.watched)
        self.trainer = self._trainer()
        self.total = self.trainer.total

    def _trainer(self) -> TokenTrainer[Any]:
        """Of the method: on recorded motions, on own ones as they are judged, or on pairs."""
        preset, session, method = self.preset, self.session, self.preset.method
        common = (preset, self.generator, self.parameters, lambda: autocast(session.device, session.dtype))
        shared: Any = {"watch": self.watch, "dtype": session.dtype, "company": self.company}
        if isinstance(method, SftPreset):
            check_dropping(method, self.generator)
            recorded = RecordedTokens(MotionDataset(str(preset.data), preset.split), self.generator)
            trainer = SupervisedTrainer(
                *common, recorded=recorded, total=self._planned(len(recorded)), **shared
            )
            if hasattr(self.generator, "text_encoder_name"):
                self.generator.text_encoder.check(trainer.texts)
            return trainer
        if isinstance(method, GrpoPreset):
            self.generator.remember([prompt.text for prompt in self.parts.events.tuned])
            return PolicyTrainer(
                *common,
                prompts=self.parts.events.tuned,
                judge=self.parts.judge,
                frozen=self.frozen,
                total=self._planned(len(self.parts.events.tuned), method.updates_a_batch),
                **shared,
            )
        rounds = self._rounds()
        pairs = self._pairs(rounds)
        return PairTrainer(
            *common,
            pairs=pairs,
            frozen=self.frozen,
            rounds=rounds,
            total=self._planned(len(pairs)),
            say=session.say,
            **shared,
        )

    def _planned(self, size: int, updates_a_batch: int = 1) -> int | None:
        """Updates at which the run ends, or None where only a time limit ends it."""
        preset = self.preset
        limits = [] if preset.updates is None else [preset.updates]
        if preset.epochs is not None:
            drawn = preset.batch * self.company.processes
            limits.append(-(-round(preset.epochs * size) // drawn) * updates_a_batch)
        return min(limits, default=None)

    def _rounds(self) -> FreshCandidates | None:
        method, prompts = self.preset.method, self.parts.events.tuned
        assert isinstance(method, DpoPreset)
        if not method.fresh:
            return None
        if not prompts:
            raise UserError(
                "method.fresh samples event prompts anew, and all of them are held out: name events.prompts."
            )
        doubt = 0.0 if method.smoothing == "degree" else float(method.smoothing)
        return FreshCandidates(
            self.generator,
            self.parts.judge,
            prompts,
            method.candidates,
            method.margin,
            method.smoothing == "degree",
            doubt,
            self.preset.seed,
            company=self.company,
        )

    def _pairs(self, rounds: FreshCandidates | None) -> TokenPairs:
        method = self.preset.method
        assert isinstance(method, DpoPreset)
        if self.preset.pairs is not None:
            place = Path(self.preset.pairs)
            return read_token_pairs(place, self.generator, method.smoothing, self.session.say)
        if rounds is None:
            raise UserError(
                "dpo learns from pairs: name those of motionrft prefer with --pairs, or have them sampled and judged on "
                "the way with --set method.fresh=50."
            )
        pairs = rounds(0)
        if not len(pairs):
            raise UserError(
                "the judge finds no difference between any two candidates: there is nothing to learn."
            )
        return pairs

    def train(self, folder: RunFolder | None) -> Outcome:
        """Tune to the end of the budget, or until the watch ends it."""
        self.company.first(lambda: self.generator.remember(self.trainer.texts))
        self.generator.remember(self.trainer.texts)  # of the others: found in the cache
        looks = None
        if self.watch is not None:
            looks = Looks(
                self.preset.watch,
                self.watch,
                self._seen,
                None if folder is None else folder.path,
                self._share_done,
                self.company,
            )
            looks.begin()
        return train(
            self.trainer,
            folder,
            updates=self.total,
            time_limit=self.preset.time_limit,
            checkpoint_every=self.preset.checkpoint_every,
            keep=self.preset.keep,
            progress=self.session.progress(self.preset.method.method),
            watch=looks,
            watch_end=None if looks is None else looks.at_end,
            keep_start=self.watch is not None,  # in every process: saving is done together
            distribution=self.company,
        )

    def _seen(self, first: bool) -> Seen:
        """A look of the first process, whose numbers count: no judge is asked twice."""
        look = self._looking(self.parts.events.watched, self.preset.watch.seeds)
        return self.company.first(lambda: look(first)) or Seen({}, {})

    def _share_done(self, step: int) -> float:
        return step / self.total if self.total else 0.0

    def finish(self, folder: RunFolder | None, outcome: Outcome) -> Finetuned:
        """Save the generator, evaluate before and after, and write the report: the first process's alone."""
        notes = choose_best(folder, outcome, self.trainer.load_state_dict, self.company)
        if folder is None:
            return Finetuned(outcome, self.session.out / GENERATOR, self.session.out / REPORT, {})
        for sentence in notes:
            self.session.say(sentence)
        learnt = self.preset.pairs or self.preset.data or "fresh candidates"
        how = (
            f"Tuned on `{learnt}` and sampled with {self.sampling.title}, by `motionrft finetune` from "
            f"`{self.preset.generator}`; events are judged by {self.parts.judge.name}."
        )
        save_generator(
            merged(self.generator), folder.path / GENERATOR, card_of(self.preset, how), self.sampling
        )
        save_adapters(self.generator, folder.path / ADAPTERS)
        tables: dict[str, list[Row]] = {}
        protocols: dict[str, str] = {}
        results: list[EvaluationResult] = []
        shown: list[report.Pictured] = []
        for title, pair in self._looked_at(folder, shown):
            tables[title], protocols[title] = compare(*pair), protocol_of(pair[0])
            results = results or pair
            notes += [note for note in pair[1].notes if note not in notes]
        pictured = report.prompts(*shown) if len(shown) == 2 else []
        data = replace(self._report(folder, outcome, tables, notes), prompts=pictured)
        write_report(folder.path / REPORT, data)
        report.write_plots(folder.path / PLOTS, data.series)
        report.write_strips(folder.path / PLOTS, pictured, data.fps)
        return Finetuned(
            outcome, folder.path / GENERATOR, folder.path / REPORT, tables, tuple(results), protocols
        )

    def _looked_at(
        self, folder: RunFolder, shown: list[report.Pictured]
    ) -> Iterator[tuple[str, list[EvaluationResult]]]:
        """Every table's title, and its evaluations before and after under the same seeds; adds the motions that are
        pictured of them to `shown`.
        """
        seeds, part = range(self.preset.evaluation.seeds), self.parts
        made_of = MadeOf(self.preset, folder.path, self.session.device.type)
        evaluated = BeforeAndAfter(folder, self.session, self.frozen)

        def both(
            title: str, judged: Mapping[str, Any], evaluate: Callable[[str, Keep], EvaluationResult]
        ) -> list[EvaluationResult]:
            found, pictured = evaluated(
                title,
                seeds,
                lambda name: {**made_of.sampled(name, seeds, self.sampling), **judged},
                lambda name, _, keep: evaluate(name, keep),
                counted=False,
            )
            shown.extend(pictured)
            return found

        if part.events.shown:
            looking = self._looking(part.events.shown, len(seeds))
            judged = made_of_events(part.judge, part.events.shown)
            title = f"events of held-out prompts, judged by {part.judge.name}"
            yield title, both("events", judged, lambda name, _: looking.result(name, seeds))
        if (test := part.items) is not None:
            given = (test.evaluator, test.items, seeds, self.sampling)
            yield (
                "items of single motions",
                both(
                    "items",
                    made_of.judged(test),
                    lambda name, keep: evaluate_generator(
                        self.generator, None, *given, name=name, watch=keep
                    ),
                ),
            )

    def _looking(self, prompts: Sequence[EventPrompt], seeds: int) -> EventLooking:
        return EventLooking(self.generator, self.parts.judge, prompts, seeds)

    def _report(
        self, folder: RunFolder, outcome: Outcome, tables: dict[str, list[Row]], notes: list[str]
    ) -> ReportData:
        metrics = folder.read_metrics()
        (_, rows), *further = [*tables.items()] or [("", [])]
        peak = max((line["peak_bytes"] for line in metrics), default=0)
        return ReportData(
            title=f"{self.preset.method.method} on {self.preset.generator}",
            rows=rows,
            further=dict(further),
            series=report.curves(metrics, read_looks(folder.path)),
            cost={
                "tuning time": f"{outcome.seconds / 60:.1f} min",
                "updates": str(outcome.step),
                self.trainer.learnt_from: str(self.trainer.size),
                "peak memory": f"{peak / 2**20:.0f} MiB",
            },
            command=f"motionrft finetune --preset {folder.path.name}/preset.yaml --out NEW",
            environment={"device": str(self.session.device), "sampled with": self.sampling.title},
            notes=notes,
            fps=self.generator.fps,
            same_noise=True,
        )


def _loaded(preset: FinetunePreset, session: FinetuneSession, judge: Judge | None = None) -> TokenParts:
    generator = loaded_for(preset, load_generator(preset.generator, session.device))
    check_kind(preset, generator)
    recorded = "motion" in preset.method.needs
    foreign = [field for field in DIFFUSION_SETTINGS if field != "data" or not recorded]
    check_fields(preset, foreign, generator)
    tokens = cast(TokenGenerator, generator)
    watch = preset.watch.model_copy(update={"every": 0})
    evaluation = preset.evaluation.model_copy(update={"events": 0})  # which have a table of their own
    alone = preset.model_copy(update={"watch": watch, "evaluation": evaluation})
    looked_at = preset.evaluation.prompts
    items = held_out(alone, tokens, session.device, session.say) if looked_at else None
    judge = judge or judge_of(preset.events.judge, session.device)
    return TokenParts(tokens, judge, split_events(_event_prompts(preset)), items.test if items else None)


def _event_prompts(preset: FinetunePreset) -> list[EventPrompt]:
    """Those that are named, those that the pairs were made of, or some made by templates."""
    beside = None if preset.pairs is None else Path(preset.pairs).parent / PROMPTS
    if preset.events.prompts is not None:
        return read_event_prompts(Path(preset.events.prompts))
    if beside is not None and beside.is_file():
        return read_event_prompts(beside)
    return template_prompts(preset.events.kinds, preset.events.names, HELD_OUT_EVENTS, preset.seed)
