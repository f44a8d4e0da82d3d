"""What a prompt of plain words tells: events that rules see, their order, or how often one shall happen."""

import re
from collections.abc import Sequence

from motionrft.preferences.prompts import EventPrompt
from motionrft.preferences.scoring import Kind
from motionrft.reward.events import EVENTS
from motionrft.reward.opposites import number_told, order_told

_THEN = re.compile(r"(?:,| and) then ")


def told_prompt(text: str, seconds: float, name: str) -> EventPrompt | None:
    """The prompt as a judge of events is asked about it; None where it tells no number, no order and no two events.

    Only what is told in the words of `motionrft.reward.events` is found; of an order every step has to be such an event,
    of a number the one thing that happens.

    Args:
        seconds: length of its motion. name: its id.
    """
    kind: Kind = "integrity"
    count, events = 1, events_told(text)
    if number := number_told(text):
        kind, (clause, count) = "frequency", number
        events = events_told(clause)
        if len(events) != 1 or not EVENTS[events[0]].countable:
            return None
    elif order := order_told(text):
        kind = "temporal"
        first, rest = order
        steps = [events_told(step) for step in (first, *_THEN.split(rest))]
        events = [event for step in steps for event in step]
        if any(len(step) != 1 for step in steps) or len(set(events)) < len(events):
            return None
    elif len(events) < 2:
        return None
    return EventPrompt(name, kind, text, tuple(events), seconds, count)


def told_prompts(texts: Sequence[str], seconds: Sequence[float]) -> list[EventPrompt]:
    """Those of the texts that tell events; ids count the texts."""
    rows = enumerate(zip(texts, seconds, strict=True))
    found = (told_prompt(text, length, f"prompt-{row:04d}") for row, (text, length) in rows)
    return [prompt for prompt in found if prompt is not None]


def events_told(words: str) -> list[str]:
    """Names of the events whose phrases are there, in the order that they are said."""
    places = {name: re.search(rf"\b{event.phrase}\b", words.lower()) for name, event in EVENTS.items()}
    found = sorted((place.start(), name) for name, place in places.items() if place)
    return [name for _, name in found]
