"""What a prompt did not say: its events in another order, in another number, and each of several alone.

A cosine to the prompt alone favours what is "more like the text". A motion is compared with these as well by the term
`contrast` (`MotionReward.prepare`).
"""

import re

from motionrft.files.composition import clause_of
from motionrft.reward.events import EVENTS

_NUMBERS = ("once", "twice", "three times")
_NUMBER = re.compile(
    r"(?P<told>.*?),?\s(?P<number>(?:just )?once|one time|twice|two times|thrice|three times(?: in a row)?)\.?$"
)
_PLACES = {
    "one time": "once", "just once": "once", "two times": "twice", "thrice": "three times",
    "three times in a row": "three times",
}  # fmt: skip
_AGAIN = ", and then does it again"
_ORDERS = (
    re.compile(r"first (?P<first>.+), then (?P<second>.+)"),
    re.compile(r"after (?P<first>.+), the person (?P<second>.+)"),
    re.compile(r"(?P<first>.+?) before the person (?P<second>.+)"),
    re.compile(r"(?P<first>.+?) and after that (?P<second>.+)"),
    re.compile(r"(?P<first>.+?)(?:,| and) then (?P<second>(?!lowers |keeps ).+)"),
)


def _plain(text: str) -> str:
    """Without a full stop, and with a subject that captions have too."""
    return text.strip().rstrip(".").replace("one person", "a person")


def number_told(text: str) -> tuple[str, int] | None:
    """The clause of something that shall happen one to three times, and how often; None where no number is told."""
    told = _plain(text)
    if told.endswith(_AGAIN):
        return told.removesuffix(_AGAIN), 2
    if number := _NUMBER.fullmatch(told):
        word = _PLACES.get(number["number"], number["number"])
        return number["told"], _NUMBERS.index(word) + 1
    return None


def order_told(text: str) -> re.Match[str] | None:
    """Groups `first`, the clause of what comes first, and `second`, what follows; None where no order is told."""
    told = _plain(text)
    for order in _ORDERS:
        found = order.fullmatch(told)
        if found and clause_of(found["first"]):
            return found
    return None


def opposites(text: str) -> list[str]:
    """The same events in the other order, or in every other number up to three; none where neither is told."""
    if number := number_told(text):
        told, own = number
        return [f"{told} {other}" for times, other in enumerate(_NUMBERS, 1) if times != own]
    found = order_told(text)
    clause = clause_of(found["first"]) if found else None
    if found and clause:
        told, (start, end) = found.string, found.span("second")
        swapped = told[:start] + clause.phrase + told[end:]
        return [swapped.replace(found["first"], f"{clause.subject} {found['second']}", 1)]
    return []


def parts(text: str) -> list[str]:
    """Each event of a prompt that names several, alone; none where it names fewer than two of those that rules see."""
    found = sorted(
        (text.find(event.phrase), event.phrase) for event in EVENTS.values() if event.phrase in text
    )
    clause = clause_of(_plain(text).removeprefix("first ").removeprefix("after "))
    subject = clause.subject if clause else "a person"
    return [f"{subject} {phrase}" for _, phrase in found] if len(found) > 1 else []


def unsaid(text: str) -> list[str]:
    """All of these; none of a prompt that tells neither an order nor a number nor several events."""
    return opposites(text) + parts(text)
