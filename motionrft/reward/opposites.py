"""What a prompt did not say: its events in another order, in another number, and each of several alone.

A cosine to the prompt alone favours what is "more like the text". A motion is compared with these as well by the term
`contrast` (`MotionReward.prepare`). English alone is read; of any other text nothing is known.
"""

import re

from motionrft.files.composed_texts import Clause, clause_of
from motionrft.reward.events import EVENTS

_NUMBERS = ("once", "twice", "three times")
_NUMBER = re.compile(
    r"\b(?:(?:just |only )?(?<!at )once(?! (?:again|more|he|she|they|it|a|the)\b)|twice|thrice"
    r"|(?P<digits>\d+|one|two|three|four|five|six) times?)\b(?: in a row)?"
)
_WORDS = {"1": 0, "one": 0, "once": 0, "2": 1, "two": 1, "twice": 1, "3": 2, "three": 2, "thrice": 2}
_MORE = {"four": 3, "five": 4, "six": 5}
_AGAIN = re.compile(r",? and (?:then )?does (?:it|so|that) again$")
_END = r"[.,;]?(?: and)?,?"
_NEXT = r"(?P<second>(?!lowers |keeps ).+)"
"""Lowering what was raised, and going on, belong to what was done before."""
_ORDERS = (
    re.compile(rf"first,? (?P<first>.+?)[.,;](?: and)? then,? {_NEXT}"),
    re.compile(r"after (?P<first>.+), (?P<second>(?:the|an?|this|that|he|she|someone|somebody) .+)"),
    re.compile(r"(?P<first>.+?),? before (?P<second>.+)"),
    re.compile(rf"(?P<first>.+?){_END} (?:after that|afterwards?|after this|finally|next),? (?P<second>.+)"),
    re.compile(rf"(?P<first>.+?){_END} then,? {_NEXT}"),
)
_WITH_SUBJECT = _ORDERS[1:3]
"""Here what is done second is a clause of its own: a walk before a wall is no order."""


def _plain(text: str) -> str:
    """In small letters on one line, without a full stop, and with a subject that captions have too."""
    told = " ".join(text.lower().split()).rstrip(" .!")
    return _AGAIN.sub(" twice", told).replace("one person", "a person")


def number_told(text: str) -> tuple[str, int] | None:
    """What is counted by a number at the end of the text, and how often it shall happen; None where no number is."""
    told = _plain(text)
    numbers = list(_NUMBER.finditer(told))
    if len(numbers) != 1 or not _counted(told, numbers):
        return None
    words = _word(numbers[0])
    own = _WORDS.get(words, _MORE.get(words))
    return told[: numbers[0].start()].rstrip(" ,"), int(words) if own is None else own + 1


def order_told(text: str) -> tuple[str, str] | None:
    """What comes first, and what follows; None where no order is told."""
    found = _order(_plain(text))
    return (found[0]["first"], found[0]["second"]) if found else None


def opposites(text: str) -> list[str]:
    """The same events in the other order, and in every other number up to three; none where neither is told."""
    told = _plain(text)
    numbers = list(_NUMBER.finditer(told))
    return [*_other_numbers(told, numbers), *([] if _counted(told, numbers) else _other_orders(told))]


def _counted(told: str, numbers: list[re.Match[str]]) -> bool:
    """Whether what comes before the last number is one thing to be counted."""
    return bool(numbers) and numbers[-1].end() == len(told)


def _word(number: re.Match[str]) -> str:
    return str(number["digits"] or number[0].removesuffix(" in a row").split()[-1])


def _other_numbers(told: str, numbers: list[re.Match[str]]) -> list[str]:
    found = []
    for number in numbers:
        own = _WORDS.get(_word(number))
        for place, other in enumerate(_NUMBERS):
            if place != own:
                found.append(told[: number.start()] + other + told[number.end() :])
    return found


def _order(told: str) -> tuple[re.Match[str], Clause, Clause | None] | None:
    """Where an order is told: its match, what comes first, and what follows where that is a clause of its own."""
    for order in _ORDERS:
        if (found := order.fullmatch(told)) is None:
            continue
        first, second = clause_of(found["first"]), clause_of(found["second"])
        if first is None or (second is None and order in _WITH_SUBJECT):
            continue
        if second is None and clause_of(f"{first.subject} {found['second']}") is None:
            continue
        if (second.phrase if second else found["second"]) != first.phrase:
            return found, first, second
    return None


def _other_orders(told: str) -> list[str]:
    order = _order(told)
    if order is None:
        return []
    found, first, second = order
    (start, end), (begin, rest) = found.span("first"), found.span("second")
    phrase = second.phrase if second else found["second"]
    own = f"{second.subject} " if second else ""
    return [f"{told[:start]}{first.subject} {phrase}{told[end:begin]}{own}{first.phrase}{told[rest:]}"]


def parts(text: str) -> list[str]:
    """Each event of a prompt that names several, alone; none where it names fewer than two of those that rules see."""
    told = _plain(text)
    places = {event.phrase: re.search(rf"\b{event.phrase}\b", told) for event in EVENTS.values()}
    found = sorted((place.start(), phrase) for phrase, place in places.items() if place)
    clause = clause_of(told.removeprefix("first ").removeprefix("after "))
    subject = clause.subject if clause else "a person"
    return [f"{subject} {phrase}" for _, phrase in found] if len(found) > 1 else []


def unsaid(text: str) -> list[str]:
    """All of these; none of a prompt that tells neither an order nor a number nor several events."""
    return list(dict.fromkeys(opposites(text) + parts(text)))


def telling(texts: list[str]) -> int:
    """How many of these texts tell something that can be told otherwise."""
    return sum(bool(unsaid(text)) for text in texts)
