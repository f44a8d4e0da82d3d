"""Event-level prompts: integrity, temporal, frequency; made by templates over a list of events, or read from a file."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from motionrft.errors import UserError
from motionrft.parsing import json_lines, text_of
from motionrft.preferences.scoring import KINDS, Kind
from motionrft.reward.events import EVENTS, Event, events_named
from motionrft.training.atomic import write_text

SUBJECTS = (
    "a person",
    "someone",
    "the person",
    "a figure",
    "a man",
    "a woman",
    "the man",
    "the woman",
    "one person",
)
INTEGRITY = ("{who} {a} and {b}", "{who} {a}, and also {b}", "{who} {a} and also {b}")
INTEGRITY_THREE = ("{who} {a}, {b} and {c}", "{who} {a}, {b}, and also {c}")
TEMPORAL = (
    "{who} {a}, then {b}",
    "first {who} {a}, then {b}",
    "{who} {a} and after that {b}",
    "{who} {a} before the person {b}",
    "after {who} {a}, the person {b}",
)
FREQUENCY = {
    1: ("{who} {a} once", "{who} {a} one time", "{who} {a} just once"),
    2: ("{who} {a} twice", "{who} {a} two times", "{who} {a}, and then does it again"),
    3: ("{who} {a} three times", "{who} {a} three times in a row"),
}
_FILE_NAME = re.compile(r"[\w-][\w.-]{0,99}")


@dataclass(frozen=True)
class EventPrompt:
    """One prompt with what a judge needs to know.

    events: names in the order that they shall happen. count: how often the only one shall, of a frequency prompt.
    held_out: never tuned on; its pairs are for validation. Whole prompts are held out, not pairs.
    """

    id: str
    kind: Kind
    text: str
    events: tuple[str, ...]
    seconds: float
    count: int = 1
    held_out: bool = False


def template_prompts(
    counts: dict[str, int], names: Sequence[str], held_out: float, seed: int, longest: float = 9.8
) -> list[EventPrompt]:
    """Prompts from templates, no two of one text.

    Args:
        counts: kind to how many. names: of `events.EVENTS`. held_out: share of each kind that is held out.
        longest: seconds that the generator can make.

    Raises:
        UserError: an unknown kind or event, or fewer different prompts than asked for.
    """
    unknown = [kind for kind in counts if kind not in KINDS]
    if unknown:
        raise UserError(f"kinds: no kind of prompt is called {unknown[0]!r}; there are {', '.join(KINDS)}.")
    events = events_named(list(dict.fromkeys(names)))
    made: list[EventPrompt] = []
    for kind in KINDS:
        rng, texts = Random(f"{seed} {kind}"), set[str]()
        wanted = counts.get(kind, 0)
        for _ in range(200 * wanted):
            if len(texts) == wanted:
                break
            text, told, times, seconds = _MAKERS[kind](events, rng, longest)
            if text and text not in texts:
                number = len(texts)
                texts.add(text)
                apart = number < round(held_out * wanted)
                made.append(
                    EventPrompt(f"{kind}-{number:04d}", kind, text, told, round(seconds, 2), times, apart)
                )
        if len(texts) < wanted:
            raise UserError(
                f"kinds.{kind}: {wanted} prompts asked for, these events give {len(texts)} different ones; name more."
            )
    return made


Made = tuple[str, tuple[str, ...], int, float]
"""Text, events in order, count, seconds; an empty text where the draw does not fit."""


def event_text(kind: Kind, names: Sequence[str], count: int, rng: Random) -> str:
    """Words for events in their order, or for one that happens `count` times.

    Raises:
        UserError: no template tells so many.
    """
    phrases = [event.phrase for event in events_named(names)]
    told: dict[Kind, dict[int, tuple[str, ...]]] = {
        "integrity": {2: INTEGRITY, 3: INTEGRITY_THREE}, "temporal": {2: TEMPORAL}, "frequency": FREQUENCY,
    }  # fmt: skip
    number = count if kind == "frequency" else len(phrases)
    if number not in told[kind]:
        raise UserError(f"{kind}: no template tells {number}.")
    chosen = rng.choice(told[kind][number])
    return chosen.format(who=rng.choice(SUBJECTS), **dict(zip("abc", phrases, strict=False)))


def _together(events: Sequence[Event], rng: Random, longest: float) -> Made:
    chosen = rng.sample(events, min(rng.choice((2, 2, 3)), len(events)))
    seconds = sum(event.seconds for event in chosen)
    if seconds > longest or len(chosen) < 2:
        return "", (), 1, 0.0
    names = tuple(event.name for event in chosen)
    return event_text("integrity", names, 1, rng), names, 1, seconds


def _in_order(events: Sequence[Event], rng: Random, longest: float) -> Made:
    if len(events) < 2:
        return "", (), 1, 0.0
    first, second = rng.sample(events, 2)
    seconds = first.seconds + second.seconds
    text = event_text("temporal", (first.name, second.name), 1, rng)
    return (text if seconds <= longest else ""), (first.name, second.name), 1, seconds


def _repeated(events: Sequence[Event], rng: Random, longest: float) -> Made:
    countable = [event for event in events if event.countable]
    if not countable:
        return "", (), 1, 0.0
    event, times = rng.choice(countable), rng.choice(tuple(FREQUENCY))
    seconds = max(event.seconds * times, 3.0)
    text = event_text("frequency", (event.name,), times, rng)
    return (text if seconds <= longest else ""), (event.name,), times, seconds


_MAKERS = {"integrity": _together, "temporal": _in_order, "frequency": _repeated}


def write_event_prompts(path: Path, prompts: Sequence[EventPrompt]) -> None:
    """One JSON object a line."""
    write_text(path, "".join(json.dumps(asdict(prompt)) + "\n" for prompt in prompts))


def read_event_prompts(path: Path, among_others: bool = False) -> list[EventPrompt]:
    """What `write_event_prompts` wrote, or a list of one's own: `text`, `kind`, `events`, and `count` for frequency.

    Args:
        among_others: lines without `events` are passed over, and there may be none with them.

    Raises:
        UserError: a line lacks something, or says what cannot be: ids alike or no file names, an event twice.
    """
    prompts: list[EventPrompt] = []
    for place, entry in json_lines(path):
        if among_others and "events" not in entry:
            continue
        kind, events = text_of(entry, "kind", place), entry.get("events")
        if kind not in KINDS:
            place.fail(f"kind is {kind!r}; legal: {', '.join(KINDS)}")
        if not isinstance(events, list) or not events or not all(isinstance(e, str) for e in events):
            place.fail('events is no list of names, such as ["bow", "walk"]')
        if len(set(events)) < len(events) or (kind == "frequency" and len(events) > 1):
            place.fail(
                f"events are {events}: of {kind} {'one' if kind == 'frequency' else 'each once'} is wanted"
            )
        known = [EVENTS[name].seconds for name in events if name in EVENTS]
        count = entry.get("count", 1)
        if type(count) is not int or not 1 <= count <= 20:
            place.fail(f"count is {count!r}; a number from 1 to 20 is wanted")
        seconds = entry.get("seconds", sum(known) * count if known else 4.0)
        if type(seconds) not in (int, float) or not 0 < seconds <= 5000:
            place.fail(f"seconds is {seconds!r}; a number above 0 is wanted")
        name, apart = entry.get("id", f"{kind}-{len(prompts):04d}"), entry.get("held_out", False)
        if not _FILE_NAME.fullmatch(str(name)):
            place.fail(
                f"id is {name!r}; letters, digits, dots, dashes and underscores are wanted: files are named so"
            )
        if type(apart) is not bool:
            place.fail(f"held_out is {apart!r}; true or false is wanted")
        text = text_of(entry, "text", place)
        prompts.append(EventPrompt(str(name), kind, text, tuple(events), float(seconds), count, apart))
    if not prompts and not among_others:
        raise UserError(f"{path}: holds no prompt.")
    if len({prompt.id for prompt in prompts}) < len(prompts):
        raise UserError(f"{path}: two prompts have one id.")
    return prompts
