"""Who judges a run, and on what: an evaluator that fits the data, and prompts that are not tuned on.

Nothing stands in for a missing evaluator in silence. The built-in one knows the built-in kinds of motion; on other data
none is asked unless one is named, and what can be measured without (physics, the reward) is shown as what it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.data.prompts import PromptFile, read_prompt_file
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.nobody import NoEvaluator
from motionrft.evaluation.generation import NOBODY
from motionrft.evaluation.items import FixedItems, capped
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.finetuning.preset import FinetunePreset
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.skeleton import SMPL22
from motionrft.training.seeds import item_seed

PER_LABEL = 12
"""Held-out items of one kind of motion at most, where that leaves enough to rank: kinds can be very uneven."""
SHARE = 5
"""At most every fifth prompt of a file is kept for the watch, and every fifth for the tables."""


@dataclass(frozen=True)
class TestSet:
    """Items that nothing is tuned on, and who judges what is made of them."""

    __test__ = False

    items: FixedItems
    evaluator: Evaluator


@dataclass(frozen=True)
class HeldOut:
    """What is looked at: by the watch (validation), and for the tables (test). None where nothing is.

    source: of the data set that the generator comes from, where the preset asks what was forgotten.
    """

    validation: TestSet | None = None
    test: TestSet | None = None
    source: TestSet | None = None


@dataclass(frozen=True)
class SplitPrompts:
    """A prompt file's rows: to tune on, for the watch, for the tables. No text is in two of them."""

    tuned: list[int]
    validation: list[int]
    test: list[int]


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
    if preset.prompts is not None and preset.evaluation.data is None:
        prompts = read_prompt_file(Path(preset.prompts))
        return replace(_of_prompts(preset, prompts, generator, evaluator, say), source=source)
    counts = (preset.watch.prompts if preset.watch.every else 0, preset.evaluation.prompts)
    splits = (preset.validation_split, preset.evaluation.split)
    data = preset.evaluation.data or preset.data
    validation, test = (
        _ranked(_of_data(data, split, count, evaluator), generator, say)
        for split, count in zip(splits, counts, strict=True)
    )
    return HeldOut(validation, test, source)


def _source(preset: FinetunePreset, evaluator: Evaluator, device: torch.device) -> TestSet | None:
    """The held-out items of the source, with its own evaluator or the target's."""
    part = preset.evaluation
    if part.source_evaluator is not None:
        evaluator = load_evaluator(builtin.resolve(part.source_evaluator, "evaluator"), device)
    return None if part.source is None else _of_data(part.source, part.split, part.prompts, evaluator)


def split_prompts(preset: FinetunePreset, texts: Sequence[str]) -> SplitPrompts:
    """Which prompts of a file are tuned on, and which are kept: by a hash of the text, so the same in every run.

    Where another data set's prompts are looked at, none is kept.
    """
    if preset.evaluation.data is not None:
        return SplitPrompts(list(range(len(texts))), [], [])
    distinct = sorted(set(texts), key=lambda text: item_seed(0, text))
    most = len(distinct) // SHARE
    looked_at = min(preset.watch.prompts, most) if preset.watch.every else 0
    shown = min(preset.evaluation.prompts, most)
    validation, test = set(distinct[:looked_at]), set(distinct[looked_at : looked_at + shown])
    rows = range(len(texts))
    return SplitPrompts(
        [row for row in rows if texts[row] not in validation and texts[row] not in test],
        _first_rows(texts, validation),
        _first_rows(texts, test),
    )


def prompt_seconds(preset: FinetunePreset, prompts: PromptFile, fps: float) -> list[float]:
    """Length of each prompt: the file's own, or the preset's; `fps` is the generator's."""
    if prompts.seconds is not None:
        return prompts.seconds
    usual = preset.seconds if preset.frames is None else preset.frames / fps
    return [usual] * len(prompts.texts)


def _evaluator(
    preset: FinetunePreset, generator: TextToMotion, device: torch.device, say: Callable[[str], None]
) -> Evaluator:
    if preset.evaluator is not None:
        evaluator = load_evaluator(builtin.resolve(preset.evaluator, "evaluator"), device)
        if generator.motion_width is not None and generator.representation == evaluator.representation:
            evaluator.check_fits(generator.motion_width, f"the generator {preset.generator}")
        return evaluator
    if at_home(preset, generator):
        return load_evaluator(builtin.path("evaluator"), device)
    say(NOBODY)
    return NoEvaluator(generator.representation, generator.fps).to(device)


def at_home(preset: FinetunePreset, generator: TextToMotion) -> bool:
    """Whether the built-in evaluator knows what is made: its own skeleton, and kinds of motion it was trained on."""
    if generator.motion_width not in (None, SMPL22.features):
        return False
    judged = preset.evaluation.data or preset.data
    if judged in (None, builtin.NAME):
        return True
    known = {prompt.label for prompt in builtin.prompts()}
    split = preset.split if preset.evaluation.data is None else preset.evaluation.split
    data = MotionDataset(judged, split)
    return any(item.label in known for item in data.items)


def _of_data(data: str | None, split: str, count: int, evaluator: Evaluator) -> TestSet | None:
    """Items of a data set, or the built-in ones."""
    if not count:
        return None
    if data is None or data == builtin.NAME:
        return TestSet(FixedItems.load(builtin.items_path(split)).subset(count), evaluator)
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
    preset: FinetunePreset,
    prompts: PromptFile,
    generator: TextToMotion,
    evaluator: Evaluator,
    say: Callable[[str], None],
) -> HeldOut:
    """Prompts of the file that are not tuned on; where those are too few to rank, the built-in ones if they are known."""
    kept = split_prompts(preset, prompts.texts)
    fewest = min((len(rows) for rows in (kept.validation, kept.test) if rows), default=0)
    if evaluator.embeds and fewest < CANDIDATES and preset.evaluator is None:
        say(
            f"{preset.prompts}: too few prompts to keep {CANDIDATES} for the watch and the tables; the built-in ones are "
            "looked at instead."
        )
        counts = (preset.watch.prompts if preset.watch.every else 0, preset.evaluation.prompts)
        splits = (preset.validation_split, preset.evaluation.split)
        return HeldOut(
            *(_of_data(None, split, n, evaluator) for split, n in zip(splits, counts, strict=True))
        )
    seconds = prompt_seconds(preset, prompts, generator.fps)
    found = []
    for split, rows in (("prompts of the watch", kept.validation), ("prompts of the tables", kept.test)):
        texts, lengths = [prompts.texts[row] for row in rows], [seconds[row] for row in rows]
        kept_items = TestSet(FixedItems.of_prompts(texts, lengths, split), evaluator) if rows else None
        found.append(_ranked(kept_items, generator, say))
    if not any(found):
        say(f"{preset.prompts}: fewer than {SHARE} prompts: no watch and no table of before and after.")
    return HeldOut(*found)


def _first_rows(texts: Sequence[str], chosen: set[str]) -> list[int]:
    """The first row of each chosen text."""
    found: dict[str, int] = {}
    for row, text in enumerate(texts):
        if text in chosen:
            found.setdefault(text, row)
    return sorted(found.values())
