"""The prompts that a preset names, which of them are tuned on, and which of those that are not tell events."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from motionrft import builtin
from motionrft.data.prompts import JSON_LINES, PromptFile, read_prompt_file
from motionrft.finetuning.preset import FinetunePreset
from motionrft.preferences.prompts import EventPrompt, read_event_prompts
from motionrft.preferences.scoring import KINDS
from motionrft.preferences.told import told_prompts
from motionrft.training.seeds import item_seed

SHARE = 5
"""At most every fifth prompt of a file is kept for the watch, and every fifth for the tables."""


@dataclass(frozen=True)
class SplitPrompts:
    """A prompt file's rows: to tune on, for the watch, for the tables. No text is in two of them."""

    tuned: list[int]
    validation: list[int]
    test: list[int]


def prompt_path(preset: FinetunePreset) -> Path:
    """The file that `prompts` names: the wider world's travels with the package."""
    return builtin.world_prompts_path() if preset.prompts == builtin.WORLD else Path(str(preset.prompts))


def looked_at_data(preset: FinetunePreset) -> str | None:
    """The data set or built-in name whose held-out items are looked at; None: the usual built-in one's, or prompts."""
    world = builtin.WORLD if preset.prompts == builtin.WORLD else None
    return preset.evaluation.data or world or preset.data


def looks_at_prompts(preset: FinetunePreset) -> bool:
    """Whether watch and tables look at prompts of the file, and at no recorded items."""
    return preset.prompts is not None and looked_at_data(preset) is None


def split_prompts(preset: FinetunePreset, given: PromptFile) -> SplitPrompts:
    """Which prompts of a file are tuned on, and which are kept: by the file itself where it says so, else by a hash of
    the text, so the same in every run.

    Where another data set's items are looked at, only prompts that tell events are kept, for the rules to judge.
    """
    texts, own = given.texts, looks_at_prompts(preset)
    watched = preset.watch.prompts if preset.watch.every and own else 0
    shown = preset.evaluation.prompts if own else 0
    if given.held_out is not None:
        apart = {text for text, held in zip(texts, given.held_out, strict=True) if held}
        kept = _by_hash(apart)
        validation = set(kept[0::2][:watched])
        test = set(kept) - validation
    else:
        distinct = _by_hash(set(texts))
        most = len(distinct) // SHARE
        validation = set(distinct[: min(watched, most)])
        test = set(distinct[len(validation) : len(validation) + min(shown, most)])
        if preset.evaluation.prompts and not test:
            telling = {prompt.text for prompt in told_prompts(texts, [1.0] * len(texts))} - validation
            test = set(_by_hash(telling)[: min(preset.evaluation.events, most)])
        apart = validation | test
    tuned = [row for row, text in enumerate(texts) if text not in apart]
    return SplitPrompts(tuned, _first_rows(texts, validation), _first_rows(texts, test))


def prompt_seconds(preset: FinetunePreset, prompts: PromptFile, fps: float) -> list[float]:
    """Length of each prompt: the file's own, or the preset's; `fps` is the generator's."""
    if prompts.seconds is not None:
        return prompts.seconds
    usual = preset.seconds if preset.frames is None else preset.frames / fps
    return [usual] * len(prompts.texts)


def held_out_events(preset: FinetunePreset, fps: float) -> list[EventPrompt]:
    """Prompts of events that nothing is tuned on, at most `evaluation.events`, of each kind alike.

    Of a file of their own, its held-out ones where it has any; else those of the tuning's file that the tables keep.
    What they tell is what the file says, or is read from the words.

    Raises:
        UserError: a file is damaged.
    """
    tuned: set[str] = set()
    found: list[EventPrompt] = []
    if preset.prompts is not None:
        path = prompt_path(preset)
        given = read_prompt_file(path)
        rows = split_prompts(preset, given)
        tuned = {given.texts[row] for row in rows.tuned}
        seconds = prompt_seconds(preset, given, fps)
        found = told_prompts([given.texts[r] for r in rows.test], [seconds[r] for r in rows.test])
        if path.suffix.lower() == JSON_LINES:
            said = {prompt.text: prompt for prompt in read_event_prompts(path, among_others=True)}
            kept = [said.get(given.texts[row]) for row in rows.test]
            found = [p for p in kept if p is not None] + [p for p in found if p.text not in said]
    if preset.events.prompts is not None:
        named = read_event_prompts(Path(preset.events.prompts))
        found = [prompt for prompt in named if prompt.held_out] or named
    return _even([prompt for prompt in found if prompt.text not in tuned], preset.evaluation.events)


def _even(prompts: Sequence[EventPrompt], count: int) -> list[EventPrompt]:
    """The first of each kind in turn, at most `count`, kind by kind."""
    kinds = [[prompt for prompt in prompts if prompt.kind == kind] for kind in KINDS]
    turns = [prompt for prompt in chain(*zip_longest(*kinds)) if prompt is not None][:count]
    return [prompt for kind in KINDS for prompt in turns if prompt.kind == kind]


def _by_hash(texts: set[str]) -> list[str]:
    return sorted(texts, key=lambda text: item_seed(0, text))


def _first_rows(texts: Sequence[str], chosen: set[str]) -> list[int]:
    """The first row of each chosen text."""
    found: dict[str, int] = {}
    for row, text in enumerate(texts):
        if text in chosen:
            found.setdefault(text, row)
    return sorted(found.values())
