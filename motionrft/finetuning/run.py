"""A whole fine-tuning run: load, tune under the watch, save, evaluate before and after, report."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch

from motionrft.evaluation.events import with_events
from motionrft.evaluation.generation import Repetition, evaluate_generator
from motionrft.evaluation.result import EvaluationResult, compare
from motionrft.evaluation.sources import GeneratorSource
from motionrft.evaluation.tables import protocol_of
from motionrft.finetuning import report
from motionrft.finetuning.adapters import merged, prepare_training, save_adapters
from motionrft.finetuning.before_after import BeforeAndAfter, Table
from motionrft.finetuning.compiled import quickened
from motionrft.finetuning.event_table import judged_events
from motionrft.finetuning.frozen import FrozenTwin
from motionrft.finetuning.held_out import EventTest, TestSet
from motionrft.finetuning.kept_evaluations import Keep
from motionrft.finetuning.loading import Parts, generator_kind, identities, load_parts
from motionrft.finetuning.looking import Looking
from motionrft.finetuning.made_of import MadeOf, made_of_events
from motionrft.finetuning.methods.base import method_named
from motionrft.finetuning.objective import TuningContext
from motionrft.finetuning.prepared_prompts import PreparedPrompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.references import References
from motionrft.finetuning.sampling_choice import tuning_sampling
from motionrft.finetuning.session import (
    ADAPTERS,
    GENERATOR,
    PLOTS,
    REPORT,
    Finetuned,
    FinetuneSession,
    Run,
    card_of,
    choose_best,
)
from motionrft.finetuning.token_run import TokenRun
from motionrft.finetuning.trainer import FinetuneTrainer
from motionrft.finetuning.watch import Looks, read_looks, watch_for
from motionrft.generators.folder import save_generator
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.report.content import Prompt, ReportData
from motionrft.report.page import write_report
from motionrft.report.verdict import Row
from motionrft.training.distribution import Distribution
from motionrft.training.environment import environment
from motionrft.training.loop import Outcome, train
from motionrft.training.memory import GraphBytes
from motionrft.training.precision import autocast
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything
from motionrft.training.watch import Watch

_MAY_CHANGE = ("device", "evaluation", "keep", "checkpoint_every", "optimiser.divided")
"""Settings that a resumed run need not repeat."""


def finetune(preset: FinetunePreset, session: FinetuneSession) -> Finetuned:
    """Run `motionrft finetune`.

    Raises:
        UserError: something that the preset names is missing or wrong; nothing was written.
        RunError: the run could not go on. Interrupted: a signal ended it, after saving.
    """
    with Distribution.join(session.device) as company:
        return finetune_together(preset, session, company)


def finetune_together(preset: FinetunePreset, session: FinetuneSession, company: Distribution) -> Finetuned:
    """`finetune` in processes that have met, and stay together for another run."""
    session = replace(session, device=company.device or session.device)
    opened = company.first(lambda: _open(preset, session))
    with opened or nullcontext() as folder:
        tuning = run_for(preset, session, company)
        return tuning.finish(folder, tuning.train(folder))


def _open(preset: FinetunePreset, session: FinetuneSession) -> RunFolder:
    return RunFolder.open(
        session.out,
        preset.plain(),
        environment(session.device),
        resume=session.resume,
        overwrite=session.overwrite,
        identity=identities(preset),
        allow_changed=(*_MAY_CHANGE, *session.allow_changed),
        complete=lambda values: FinetunePreset.of(values).plain(),
    )


def run_for(preset: FinetunePreset, session: FinetuneSession, distribution: Distribution) -> Run:
    """The run that tunes this kind of generator, everything loaded.

    Raises:
        UserError: something that the preset names is missing or wrong.
    """
    if generator_kind(preset.generator) == "tokens":
        return TokenRun(preset, session, distribution)
    return FinetuneRun(preset, session, distribution)


class FinetuneRun:
    """Generator, reward and prompts of a preset, with the trainer that brings them together."""

    def __init__(
        self, preset: FinetunePreset, session: FinetuneSession, distribution: Distribution | None = None
    ):
        self.preset, self.session = preset, session
        self.distribution = distribution or Distribution()
        seed_everything(preset.seed)
        self.parts: Parts = load_parts(preset, session.device, session.say)
        self.generator = self.parts.generator
        self.parts.reward.settle()
        parameters = prepare_training(self.generator, preset.lora, preset.freeze)
        self.frozen = FrozenTwin(self.generator)
        self.sampling = tuning_sampling(self.generator, preset, session.say)
        process = self.generator.process_with(self.sampling)
        context = TuningContext(
            self.generator,
            process,
            self.parts.reward,
            self.sampling.guidance,
            preset.method,
            self.frozen,
            lambda: autocast(session.device, session.dtype),
            GraphBytes([self.generator, self.parts.reward], session.device),
            # Replayed probabilities have to be those that were sampled with, to 1e-4.
            compiled=quickened(
                False if "noise" in preset.method.needs else preset.compile, self.generator, self.parts.reward
            ),
            ranges=self.parts.reward.ranges,
            say=session.say,
        )
        self.trainer = FinetuneTrainer(
            preset,
            context,
            self._prepared(context),
            parameters,
            dtype=session.dtype,
            distribution=self.distribution,
            say=session.say,
            watch=self._watch(),
        )

    def _watch(self) -> Watch | None:
        looked_at = self.parts.validation
        if not self.preset.watch.every or looked_at is None:
            return None
        return watch_for(self.preset.watch, looked_at.evaluator.embeds)

    def _prepared(self, context: TuningContext) -> PreparedPrompts:
        preset, reference = self.preset, self.preset.reference
        references = None
        # Chance is what policy gradients learn from: the same noise again would teach the same accident again.
        noises = reference.noises if method_named(preset.method.method).follows_plan else None
        compared = bool(preset.weights.get("similarity")) and "reward" in preset.needs
        compared_with_motion = compared and (reference.source == "motion" or "motion" in preset.needs)
        if compared and not compared_with_motion:
            guidance = self.sampling.guidance if reference.guidance is None else reference.guidance
            references = References(
                self.generator,
                context.process,
                self.parts.reward,
                guidance,
                self.frozen,
                noises is not None,
            )
        return PreparedPrompts(
            self.generator,
            self.parts.reward if "reward" in preset.needs else None,
            self.parts.prompts,
            preset.seed,
            self.session.device,
            references,
            noises,
            motions="motion" in preset.needs,
            paired=compared_with_motion,
            padding=None if context.compiled is None else context.compiled.padding,
        )

    def train(self, folder: RunFolder | None) -> Outcome:
        """Tune to the end of the budget, or until the watch ends it."""
        looks = None
        if self.trainer.watch is not None:  # in every process: what is looked at is sampled together
            validation = self.parts.validation
            assert validation is not None, "a watch without anything to look at"
            looking = Looking(
                lambda name, seeds, keep: self._evaluated(name, validation, seeds, self.sampling, watch=keep),
                self.frozen,
                self.preset.watch.seeds,
            )
            looks = Looks(
                self.preset.watch,
                self.trainer.watch,
                looking,
                None if folder is None else folder.path,
                self.trainer.share_done,
                self.distribution,
            )
            looks.begin()
        return train(
            self.trainer,
            folder,
            updates=self.trainer.planned,
            time_limit=self.preset.time_limit,
            checkpoint_every=self.preset.checkpoint_every,
            keep=self.preset.keep,
            progress=self.session.progress(self.preset.method.method),
            watch=looks,
            watch_end=None if looks is None else looks.at_end,
            keep_start=self.trainer.watch is not None,
            distribution=self.distribution,
        )

    def _evaluated(
        self,
        name: str,
        test: TestSet,
        seeds: Sequence[int],
        sampling: SamplingSettings,
        progress: Progress | None = None,
        watch: Callable[[Repetition], None] | None = None,
    ) -> EvaluationResult:
        with self._averaged(name):
            return evaluate_generator(
                self.generator,
                self.parts.reward,
                test.evaluator,
                test.items,
                seeds,
                sampling,
                name=name,
                progress=None if progress is None else lambda done, _: progress.update(done, {}),
                watch=watch,
                company=self.distribution,
            )

    def finish(self, folder: RunFolder | None, outcome: Outcome) -> Finetuned:
        """Save the generator, evaluate before and after, and write the report.

        Motions are sampled by all processes; the first of them, which has the folder, writes.
        """
        notes = choose_best(folder, outcome, self.trainer.load_state_dict, self.distribution)
        for sentence in notes:
            self.session.say(sentence)
        if folder is not None:
            self._save(folder)
        tables: dict[str, list[Row]] = {}
        protocols: dict[str, str] = {}
        pictured: list[Prompt] = []
        tuned_at: tuple[EvaluationResult, ...] = ()
        for table in self._tables():
            title = table.title
            results, shown = self._before_and_after(folder, table)
            if results:
                tables[title], protocols[title] = compare(*results), protocol_of(results[0])
                tuned_at = tuned_at or tuple(results)
                notes += [note for note in results[1].notes if note not in notes]
                if len(shown) == 2 and not pictured:
                    pictured = report.prompts(*shown)
        if folder is not None:
            data = self._report(folder, outcome, tables, notes)
            write_report(folder.path / REPORT, replace(data, prompts=pictured))
            report.write_plots(folder.path / PLOTS, data.series)
            report.write_strips(folder.path / PLOTS, pictured, data.fps)
        return Finetuned(
            outcome, self.session.out / GENERATOR, self.session.out / REPORT, tables, tuned_at, protocols
        )

    def _save(self, folder: RunFolder) -> None:
        with self._averaged("after"):
            # Sampled with another sampler it would be another model: what it was tuned with travels on.
            card = card_of(
                self.preset,
                f"Tuned and sampled with {self.sampling.title}, {self.sampling.fps:g} frames a second, by `motionrft "
                f"finetune` from `{self.preset.generator}` against the reward `{self.preset.reward}`.",
            )
            save_generator(merged(self.generator), folder.path / GENERATOR, card, self.sampling)
            save_adapters(self.generator, folder.path / ADAPTERS)

    def _evaluated_with(self) -> list[SamplingSettings]:
        """What the tables are made with: what was tuned with first, then further guidance scales and samplers."""
        tuned, further = self.sampling, self.preset.evaluation
        scales = [replace(tuned, guidance=scale) for scale in further.guidance]
        samplers = [self.generator.sampling(name, guidance=tuned.guidance) for name in further.samplers]
        return list(dict.fromkeys([tuned, *scales, *samplers]))

    def _tables(self) -> Iterator[Table]:
        """The target's first, then the source's. Events are asked for with what was tuned with."""
        events = self.parts.events
        if self.parts.held_out is not None or events is not None:
            for sampling in self._evaluated_with():
                told = events if sampling == self.sampling else None
                yield Table(_title(sampling, self.sampling), sampling, self.parts.held_out, told)
        if self.parts.source is not None:
            title = f"source {Path(self.preset.evaluation.source or '').name}"
            yield Table(
                f"{title}, {_title(self.sampling, self.sampling)}", self.sampling, self.parts.source, None
            )

    def _before_and_after(
        self, folder: RunFolder | None, table: Table
    ) -> tuple[list[EvaluationResult], list[report.Pictured]]:
        """Both evaluations with one way of sampling, under the same seeds; and their pictured motions, those of event
        prompts where there are any.
        """
        part, made_of = self.preset.evaluation, self._made_of
        title, sampling, test, events = table.title, table.sampling, table.test, table.events
        seeds = list(range(part.seeds if sampling == self.sampling else part.further_seeds))
        both = BeforeAndAfter(folder, self.session, self.frozen, self.distribution)
        results: list[EvaluationResult] = []
        shown: list[report.Pictured] = []
        if test is not None:
            results, shown = both(
                title,
                seeds,
                lambda name: {
                    **made_of.sampled(name, seeds, sampling),
                    **made_of.judged(test),
                    **made_of.rewarded(),
                },
                lambda name, progress, keep: self._evaluated(name, test, seeds, sampling, progress, keep),
            )
        if events is not None:
            judged, shown = both(
                f"events {title}",
                seeds,
                lambda name: {
                    **made_of.sampled(name, seeds, sampling),
                    **made_of_events(events.judge, events.prompts),
                },
                lambda name, progress, keep: self._judged(name, events, seeds, progress, keep),
            )
            results = (
                [with_events(*pair) for pair in zip(results, judged, strict=True)] if results else judged
            )
        return results, shown

    def _judged(
        self, name: str, events: EventTest, seeds: Sequence[int], progress: Progress, keep: Keep
    ) -> EvaluationResult:
        with self._averaged(name):
            source = GeneratorSource(self.generator, name, sampling=self.sampling, company=self.distribution)
            return judged_events(source, events, seeds, progress, keep)

    def _averaged(self, name: str) -> AbstractContextManager[None]:
        """With the averaged weights, where there are any; not of the untuned generator."""
        return self.trainer.ema.applied() if self.trainer.ema and name != "before" else nullcontext()

    @cached_property
    def _made_of(self) -> MadeOf:
        return MadeOf(self.preset, self.session.out, self.session.device.type)

    def _report(
        self, folder: RunFolder, outcome: Outcome, tables: dict[str, list[Row]], notes: list[str]
    ) -> ReportData:
        metrics = folder.read_metrics()
        looks = read_looks(folder.path)
        (_, rows), *further = [*tables.items()] or [("", [])]
        graph = max((line["graph_bytes"] for line in metrics), default=0)
        return ReportData(
            title=f"{self.preset.method.method} on {self.preset.generator}, guidance {self.sampling.guidance:g}",
            rows=rows,
            further=dict(further),
            series=report.curves(metrics, looks),
            cost={
                "tuning time": f"{outcome.seconds / 60:.1f} min",
                "updates": str(outcome.step),
                "bytes held for backward": f"{graph / 2**20:.1f} MiB",
                "peak memory": report.memory_words(metrics),
            },
            command=f"motionrft finetune --preset {folder.path.name}/preset.yaml --out NEW",
            environment={
                "device": str(self.session.device),
                "torch": torch.__version__,
                "sampled with": self.sampling.title,
            },
            notes=notes,
            fps=self.generator.fps,
            same_noise=True,
            gain_name="reward" if self.parts.events is None else "event score",
        )


def _title(sampling: SamplingSettings, tuned: SamplingSettings) -> str:
    """`guidance 7.5`; another sampler than the tuned one is named before it."""
    return sampling.title if sampling.sampler != tuned.sampler else f"guidance {sampling.guidance:g}"
