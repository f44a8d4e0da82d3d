"""The events that prompts are made of and judges look for: a name, the words for it, and about how long it takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from motionrft.errors import UserError


@dataclass(frozen=True)
class Event:
    """phrase: what "a person" does. seconds: usual duration. countable: happens once, twice, three times in a clip.

    besides: events that a recording of it often shows too, as the run-up of a kick.
    """

    name: str
    phrase: str
    seconds: float
    countable: bool = True
    besides: tuple[str, ...] = ()


EVENTS = {
    event.name: event
    for event in (
        Event("raise-left-hand", "raises the left hand", 2.6),
        Event("raise-right-hand", "raises the right hand", 2.6),
        Event("raise-both-hands", "raises both hands", 2.6),
        Event("walk", "walks forward", 3.2, countable=False),
        Event("run", "runs forward", 2.4, countable=False, besides=("walk",)),
        Event("turn-left", "walks and turns left", 4.4, countable=False, besides=("walk",)),
        Event("turn-right", "walks and turns right", 4.4, countable=False, besides=("walk",)),
        Event("bow", "bows", 4.0),
        Event("jump", "jumps up", 2.6),
        Event("kick", "kicks", 2.4, besides=("walk", "run")),
        Event("punch", "throws a punch", 2.0),
    )
}
"""What the rule judge can see."""
USUAL = tuple(name for name in EVENTS if name not in ("jump", "kick", "punch"))
"""Events that the built-in generator knows."""


@dataclass(frozen=True)
class Shown:
    """What clips of one kind of motion show. whole: one event a clip; otherwise a part of it is the same event."""

    event: str
    whole: bool = True


SHOWN = {
    "raise-up-left-hand": Shown("raise-left-hand"),
    "raise-up-right-hand": Shown("raise-right-hand"),
    "raise-up-both-hands": Shown("raise-both-hands"),
    "wave-left-hand": Shown("raise-left-hand"),
    "wave-right-hand": Shown("raise-right-hand"),
    "wave-both-hands": Shown("raise-both-hands"),
    "walk": Shown("walk", whole=False),
    "run": Shown("run", whole=False),
    "walk-turn-left": Shown("turn-left"),
    "walk-turn-right": Shown("turn-right"),
    "bow": Shown("bow"),
    "jump-up": Shown("jump"),
    "kick": Shown("kick", whole=False),
    "kick-ball": Shown("kick"),
    "punch": Shown("punch", whole=False),
    "box": Shown("punch", whole=False),
}
"""What the kinds of motion of the built-in models' data show: column `content` of a data set's `index.csv`."""


def events_named(names: Sequence[str]) -> list[Event]:
    """The events of these names.

    Raises:
        UserError: a name that no rule knows.
    """
    unknown = [name for name in names if name not in EVENTS]
    if unknown:
        raise UserError(f"no event is called {unknown[0]!r}; there are {', '.join(EVENTS)}.")
    return [EVENTS[name] for name in names]
