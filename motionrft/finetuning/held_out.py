"""Who judges a run, and on what: an evaluator that fits the data, and prompts that are not tuned on.

Nothing stands in for a missing evaluator in silence. The built-in one knows the built-in kinds of motion; on other data
none is asked unless one is named, and what can be measured without (physics, the reward) is shown as what it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.data.prompts import read_prompt_file
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.nobody import NoEvaluator
from motionrft.evaluation.generation import NOBODY
from motionrft.evaluation.items import FixedItems, capped
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.finetuning.given_prompts import (
    SHARE,
    held_out_events,
    looked_at_data,
    looks_at_prompts,
    prompt_path,
    prompt_seconds,
    split_prompts,
)
from motionrft.finetuning.preset import FinetunePreset
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.preferences.judges.base import Judge
from motionrft.preferences.judges.rules import RuleJudge
from motionrft.preferences.prompts import EventPrompt
from motionrft.preferences.run import judge_of
from motionrft.skeleton import SMPL22

PER_LABEL = 12
"""Held-out items of one kind of motion at most, where that leaves enough to rank: kinds can be very uneven."""


@dataclass(frozen=True)
class TestSet:
    """Items that nothing is tuned on, and who judges what is made of them."""

    __test__ = False

    items: FixedItems
    evaluator: Evaluator


@dataclass(frozen=True)
class EventTest:
    """Event prompts that nothing is tuned on, and who says whether their events happen."""

    prompts: list[EventPrompt]
    judge: Judge


@dataclass(frozen=True)
class HeldOut:
    """What is looked at: by the watch (validation), and for the tables (test). None where nothing is.

    source: of the data set that the generator comes from, where the preset asks what was forgotten.
    events: of prompts that tell any, for the tables.
    """

    validation: TestSet | None = None
    test: TestSet | None = None
    source: TestSet | None = None
    events: EventTest | None = None


def held_out(
    preset: FinetunePreset, generator: TextToMotion, device: torch.device, say: Callable[[str], None]
) -> HeldOut:
    """The evaluator and the held-out items of a run; `say` is told what will not be measured, and why.

    Raises:
        UserError: the evaluator that is named does not fit the data or the generator.
    """
    wanted = preset.watch.every or preset.evaluation.prompts
    if not wanted:
        return HeldOut()
    evaluator = _evaluator(preset, generator, device, say)
    source = _source(preset, evaluator, device)
    events = _events(preset, generator, device, say)
    if looks_at_prompts(preset):
        return replace(_of_prompts(preset, generator, evaluator, say), source=source, events=events)
    counts = (preset.watch.prompts if preset.watch.every else 0, preset.evaluation.prompts)
    splits = (preset.validation_split, preset.evaluation.split)
    data = looked_at_data(preset)
    validation, test = (
        _ranked(_of_data(data, split, count, evaluator), generator, say)
        for split, count in zip(splits, counts, strict=True)
    )
    return HeldOut(validation, test, source, events)


def _events(
    preset: FinetunePreset, generator: TextToMotion, device: torch.device, say: Callable[[str], None]
) -> EventTest | None:
    """Held-out prompts whose events the preset's judge sees, where there are any."""
    if not preset.evaluation.prompts or not preset.evaluation.events:
        return None
    prompts = held_out_events(preset, generator.fps)
    if not prompts:
        return None
    if generator.motion_width not in (None, SMPL22.features):
        say(f"{len(prompts)} held-out prompts tell events, and those are seen in bodies of 22 joints alone.")
        return None
    judge = judge_of(preset.events.judge, device)
    if isinstance(judge, RuleJudge):
        seen = [prompt for prompt in prompts if set(prompt.events) <= set(judge.sees)]
        if len(seen) < len(prompts):
            say(
                f"{len(prompts) - len(seen)} held-out prompts tell events that {judge.name} do not see: left out."
            )
        prompts = seen
    return EventTest(prompts, judge) if prompts else None


def _source(preset: FinetunePreset, evaluator: Evaluator, device: torch.device) -> TestSet | None:
    """The held-out items of the source, with its own evaluator or the target's."""
    part = preset.evaluation
    if part.source_evaluator is not None:
        evaluator = load_evaluator(builtin.resolve(part.source_evaluator, "evaluator"), device)
    return None if part.source is None else _of_data(part.source, part.split, part.prompts, evaluator)


def _evaluator(
    preset: FinetunePreset, generator: TextToMotion, device: torch.device, say: Callable[[str], None]
) -> Evaluator:
    if preset.evaluator is not None:
        evaluator = load_evaluator(builtin.resolve(preset.evaluator, "evaluator"), device)
        if generator.motion_width is not None and generator.representation == evaluator.representation:
            evaluator.check_fits(generator.motion_width, f"the generator {preset.generator}")
        return evaluator
    usual = usual_evaluator(preset, generator)
    if usual is not None:
        return load_evaluator(builtin.resolve(usual, "evaluator"), device)
    say(NOBODY)
    return NoEvaluator(generator.representation, generator.fps).to(device)


def usual_evaluator(preset: FinetunePreset, generator: TextToMotion) -> str | None:
    """The built-in evaluator that knows what is made, its own skeleton and kinds of motion it was trained on; or None."""
    if generator.motion_width not in (None, SMPL22.features):
        return None
    judged = looked_at_data(preset)
    if judged is None or judged in builtin.NAMES:
        return judged or builtin.NAME
    known = {prompt.label for prompt in builtin.prompts()}
    split = preset.split if preset.evaluation.data is None else preset.evaluation.split
    data = MotionDataset(judged, split)
    return builtin.NAME if any(item.label in known for item in data.items) else None


def _of_data(data: str | None, split: str, count: int, evaluator: Evaluator) -> TestSet | None:
    """Items of a data set, or built-in ones."""
    if not count:
        return None
    if data is None or data in builtin.NAMES:
        return TestSet(
            FixedItems.load(builtin.items_path(split, data or builtin.NAME)).subset(count), evaluator
        )
    dataset = MotionDataset(data, split)
    labels, keys = [item.label for item in dataset.items], [item.key for item in dataset.items]
    # A list of one kind of motion, left out of the training, has nothing to be evened out with.
    uneven = len(capped(labels, keys, PER_LABEL)) >= CANDIDATES
    items = FixedItems.of_dataset(dataset, evaluator, per_label=PER_LABEL if uneven else None)
    return TestSet(items.subset(count), evaluator)


def _ranked(test: TestSet | None, generator: TextToMotion, say: Callable[[str], None]) -> TestSet | None:
    """The same, or without an evaluator where there are too few items to rank: R-Precision needs 32."""
    if test is None or not test.evaluator.embeds or len(test.items.items) >= CANDIDATES:
        return test
    count, split = len(test.items.items), test.items.split
    say(
        f"{split}: {count} items, and R-Precision ranks {CANDIDATES}: they are judged by physics and the reward alone."
    )
    return TestSet(test.items.unembedded(), NoEvaluator(generator.representation, generator.fps))


def _of_prompts(
    preset: FinetunePreset, generator: TextToMotion, evaluator: Evaluator, say: Callable[[str], None]
) -> HeldOut:
    """Prompts of the file that are not tuned on; where those are too few to rank, the built-in ones if they are known."""
    prompts = read_prompt_file(prompt_path(preset))
    kept = split_prompts(preset, prompts)
    fewest = min((len(rows) for rows in (kept.validation, kept.test) if rows), default=0)
    if evaluator.embeds and fewest < CANDIDATES and preset.evaluator is None:
        say(
            f"{preset.prompts}: too few prompts to keep {CANDIDATES} for the watch and the tables; the built-in ones are "
            "looked at instead."
        )
        counts = (preset.watch.prompts if preset.watch.every else 0, preset.evaluation.prompts)
        splits = (preset.validation_split, preset.evaluation.split)
        watched, shown = (
            _of_data(None, split, n, evaluator) for split, n in zip(splits, counts, strict=True)
        )
        return HeldOut(watched, shown)
    seconds = prompt_seconds(preset, prompts, generator.fps)
    found: list[TestSet | None] = []
    for split, rows in (("prompts of the watch", kept.validation), ("prompts of the tables", kept.test)):
        texts, lengths = [prompts.texts[row] for row in rows], [seconds[row] for row in rows]
        kept_items = TestSet(FixedItems.of_prompts(texts, lengths, split), evaluator) if rows else None
        found.append(_ranked(kept_items, generator, say))
    if not any(found):
        say(f"{preset.prompts}: fewer than {SHARE} prompts: no watch and no table of before and after.")
    return HeldOut(found[0], found[1])
