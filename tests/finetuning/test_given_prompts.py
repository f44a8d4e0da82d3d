"""Which prompts are tuned on, which are kept, and which of those tell events."""

import json
from pathlib import Path

import pytest

from motionrft.data.prompts import PromptFile, read_prompt_file
from motionrft.errors import UserError
from motionrft.finetuning.given_prompts import held_out_events, looks_at_prompts, prompt_path, split_prompts
from motionrft.finetuning.loading import load_prompts
from motionrft.preferences.prompts import EventPrompt, template_prompts, write_event_prompts
from motionrft.preferences.scoring import KINDS
from tests.finetuning.small import small_generator, small_preset

EVERYTHING = {"integrity": 20, "temporal": 20, "frequency": 20}
EVENTS = [f"a person bows {number}" for number in ("once", "twice", "three times")] + [
    f"{who} raises the left hand, then bows" for who in ("someone", "a man", "a woman", "the man", "a figure")
]
PLAIN = [f"a person walks {number} steps" for number in range(12)]


def prompts(share: float) -> list[EventPrompt]:
    return template_prompts(EVERYTHING, ["bow", "walk", "raise-left-hand", "run"], share, 0)


def asked(tmp_path: Path, **evaluation: object) -> list[str]:
    """Texts of the events that a preset's table would tell, of a file with held-out prompts."""
    write_event_prompts(tmp_path / "p.jsonl", prompts(0.4))
    preset = small_preset(prompts=str(tmp_path / "p.jsonl"), evaluation=evaluation, watch={"every": 0})
    return [prompt.text for prompt in held_out_events(preset, 20.0)]


def test_a_file_that_says_what_is_held_out_is_believed(tmp_path: Path) -> None:
    made = prompts(0.4)
    found = asked(tmp_path, events=1000)
    assert sorted(found) == sorted(prompt.text for prompt in made if prompt.held_out)
    preset = small_preset(prompts=str(tmp_path / "p.jsonl"))
    tuned = load_prompts(preset, small_generator()).texts
    assert tuned == [prompt.text for prompt in made if not prompt.held_out]


def test_kinds_of_events_are_asked_alike(tmp_path: Path) -> None:
    write_event_prompts(tmp_path / "p.jsonl", prompts(0.4))
    preset = small_preset(prompts=str(tmp_path / "p.jsonl"), evaluation={"events": 9}, watch={"every": 0})
    found = held_out_events(preset, 20.0)
    assert [prompt.kind for prompt in found] == [kind for kind in KINDS for _ in range(3)]


def test_what_the_file_says_counts_more_than_its_words(tmp_path: Path) -> None:
    """A language model's words tell events that no pattern knows."""
    lines = [
        {"text": "with a swing of the leg he greets us", "kind": "temporal", "events": ["kick", "bow"], "held_out": True},
        {"text": "a man bows twice", "held_out": True},
        {"text": "a man dances", "held_out": True},
        {"text": "a man walks forward"},
    ]  # fmt: skip
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    preset = small_preset(
        prompts=str(tmp_path / "p.jsonl"), evaluation={"data": "builtin"}, watch={"every": 0}
    )
    assert [prompt.events for prompt in held_out_events(preset, 20.0)] == [("kick", "bow"), ("bow",)]


def test_of_a_text_file_some_event_prompts_are_kept_where_other_items_are_judged() -> None:
    given = PromptFile(EVENTS + PLAIN)
    preset = small_preset(prompts="p.txt", evaluation={"data": "builtin"})
    kept = split_prompts(preset, given)
    assert len(kept.test) == len(given.texts) // 5 and not kept.validation
    assert all(given.texts[row] in EVENTS for row in kept.test)
    assert sorted(kept.tuned + kept.test) == list(range(len(given.texts)))


@pytest.mark.parametrize("evaluation", [{"prompts": 0}, {"events": 0}])
def test_nothing_is_kept_for_events_that_nobody_asks_for(evaluation: dict[str, int]) -> None:
    preset = small_preset(prompts="p.txt", evaluation={"data": "builtin", **evaluation})
    assert split_prompts(preset, PromptFile(EVENTS + PLAIN)).test == []


def test_prompts_that_are_all_held_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"text": "a man bows", "held_out": True}))
    with pytest.raises(UserError, match="all of its prompts are held out"):
        load_prompts(small_preset(prompts=str(tmp_path / "p.jsonl")), small_generator())


def test_the_prompts_of_the_wider_world_hold_out_other_events() -> None:
    preset = small_preset(prompts="builtin-world")
    given = read_prompt_file(prompt_path(preset))
    assert not looks_at_prompts(preset) and given.held_out is not None
    shown = held_out_events(preset, 20.0)
    assert [sum(prompt.kind == kind for prompt in shown) for kind in KINDS] == [30, 30, 30]
    tuned = {given.texts[row] for row in split_prompts(preset, given).tuned}
    assert len(tuned) == len(given.texts) - 90 and not tuned & {prompt.text for prompt in shown}
    entries = map(json.loads, prompt_path(preset).read_text().splitlines())
    told: dict[bool, set[tuple[str, ...]]] = {True: set(), False: set()}
    for entry in entries:
        if (kind := entry.get("kind")) in ("integrity", "temporal"):
            events = entry["events"] if kind == "temporal" else sorted(entry["events"])
            told[entry["held_out"]].add((kind, *events))
    assert len(told[True]) > 30 and not told[True] & told[False]
