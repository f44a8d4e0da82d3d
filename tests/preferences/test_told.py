"""Events are read from a prompt's words as whoever wrote it meant them, or not at all."""

import pytest

from motionrft.preferences.prompts import template_prompts
from motionrft.preferences.told import told_prompt, told_prompts
from motionrft.reward.events import EVENTS


def test_what_templates_tell_is_read_back() -> None:
    made = template_prompts({"integrity": 60, "temporal": 60, "frequency": 60}, list(EVENTS), 0.0, 3)
    read = told_prompts([prompt.text for prompt in made], [prompt.seconds for prompt in made])
    told = [(p.kind, p.events, p.count, p.seconds) for p in made]
    assert [(p.kind, p.events, p.count, p.seconds) for p in read] == told
    assert len({prompt.id for prompt in read}) == len(made)


@pytest.mark.parametrize(
    "text, kind, events, count",
    [
        ("A person bows twice.", "frequency", ("bow",), 2),
        (
            "a person raises the right hand, then runs forward",
            "temporal",
            ("raise-right-hand", "run"),
            1,
        ),
        ("a person bows deeply, then walks forward, then kicks", "temporal", ("bow", "walk", "kick"), 1),
        ("the man throws a punch and bows to the crowd", "integrity", ("punch", "bow"), 1),
    ],
)
def test_plain_words_are_read(text: str, kind: str, events: tuple[str, ...], count: int) -> None:
    found = told_prompt(text, 5.0, "mine")
    assert found is not None and (found.kind, found.events, found.count) == (kind, events, count)


@pytest.mark.parametrize(
    "text",
    [
        "a person bows",  # happens or not: no order, no number
        "a person dances, then bows",  # the first step is no event that anyone sees
        "first a man bows and kicks, then runs forward",  # which of the two comes first is not said
        "a person bows, then bows",
        "a person walks forward twice",  # a walk has no number
        "a person bows and kicks twice",  # which of them is counted?
        "a person makes rainbows and punches holes",  # words that only look like events
    ],
)
def test_what_is_not_told_clearly_is_not_read(text: str) -> None:
    assert told_prompt(text, 5.0, "mine") is None
