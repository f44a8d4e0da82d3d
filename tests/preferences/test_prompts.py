"""Prompts from templates and from files."""

import json
from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.preferences.prompts import read_event_prompts, template_prompts, write_event_prompts
from motionrft.reward.events import EVENTS, USUAL

COUNTS = {"integrity": 12, "temporal": 12, "frequency": 8}


def test_templates_give_as_many_different_prompts_as_asked_for() -> None:
    prompts = template_prompts(COUNTS, USUAL, 0.25, seed=3)
    assert {kind: sum(p.kind == kind for p in prompts) for kind in COUNTS} == COUNTS
    assert len({p.text for p in prompts}) == len(prompts)
    assert sum(p.held_out for p in prompts) == 3 + 3 + 2
    assert prompts == template_prompts(COUNTS, USUAL, 0.25, seed=3)


def test_texts_tell_the_events_in_an_order_that_means_theirs() -> None:
    for prompt in template_prompts({"temporal": 30}, USUAL, 0, seed=0):
        places = [prompt.text.index(EVENTS[event].phrase) for event in prompt.events]
        assert places == sorted(places)


def test_frequency_counts_what_can_be_counted() -> None:
    for prompt in template_prompts({"frequency": 10}, USUAL, 0, seed=0):
        assert EVENTS[prompt.events[0]].countable
        assert any(word in prompt.text for word in ("once", "one time", "twice", "times", "again"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    prompts = template_prompts(COUNTS, USUAL, 0.25, seed=3)
    write_event_prompts(tmp_path / "prompts.jsonl", prompts)
    assert read_event_prompts(tmp_path / "prompts.jsonl") == prompts


@pytest.mark.parametrize(
    "change, said",
    [
        ({"kind": "speed"}, "kind is 'speed'"),
        ({"events": "bow"}, "events is no list"),
        ({"events": []}, "events is no list"),
        ({"count": 0}, "count is 0"),
        ({"text": None}, "text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict, said: str) -> None:
    line = {"text": "a person bows", "kind": "frequency", "events": ["bow"], "count": 1} | change
    (tmp_path / "own.jsonl").write_text(json.dumps(line))
    with pytest.raises(UserError, match=said) as caught:
        read_event_prompts(tmp_path / "own.jsonl")
    assert "line 1" in str(caught.value)


def test_more_prompts_than_the_events_give_are_refused() -> None:
    with pytest.raises(UserError, match="name more"):
        template_prompts({"frequency": 90}, ["bow"], 0, seed=0)


@pytest.mark.parametrize(
    "line, said",
    [
        ({"id": "../up"}, "id is '../up'"),
        ({"seconds": "long"}, "seconds is 'long'"),
        ({"seconds": -1}, "seconds is -1"),
        ({"held_out": "false"}, "held_out is 'false'; true or false"),
        ({"count": True}, "count is True"),
        ({"events": ["bow", "walk"]}, "of frequency one is wanted"),
        ({"kind": "temporal", "events": ["bow", "bow"]}, "of temporal each once is wanted"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(tmp_path: Path, line: dict, said: str) -> None:
    whole = {"kind": "frequency", "text": "a person bows", "events": ["bow"], "count": 1}
    (tmp_path / "mine.jsonl").write_text(json.dumps({**whole, **line}))
    with pytest.raises(UserError, match=said):
        read_event_prompts(tmp_path / "mine.jsonl")


def test_an_event_that_is_named_twice_is_one() -> None:
    made = template_prompts({"temporal": 4}, ["bow", "bow", "walk"], 0.0, 0)
    assert all(len(set(prompt.events)) == 2 for prompt in made)
