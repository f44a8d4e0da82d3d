"""The events that prompts are made of and judges look for: a name, the words for it, and about how long it takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from motionrft.errors import UserError


@dataclass(frozen=True)
class Event:
    """phrase: what "a person" does. seconds: usual duration. countable: happens once, twice, three times in a clip."""

    name: str
    phrase: str
    seconds: float
    countable: bool = True


EVENTS = {
    event.name: event
    for event in (
        Event("raise-left-hand", "raises the left hand", 2.6),
        Event("raise-right-hand", "raises the right hand", 2.6),
        Event("raise-both-hands", "raises both hands", 2.6),
        Event("walk", "walks forward", 3.2, countable=False),
        Event("run", "runs forward", 2.4, countable=False),
        Event("turn-left", "walks and turns left", 4.4, countable=False),
        Event("turn-right", "walks and turns right", 4.4, countable=False),
        Event("bow", "bows", 4.0),
        Event("jump", "jumps up", 2.6),
        Event("kick", "kicks", 2.4),
        Event("punch", "throws a punch", 2.0),
    )
}
"""What the rule judge can see."""
USUAL = tuple(name for name in EVENTS if name not in ("jump", "kick", "punch"))
"""Events that the built-in generator knows."""


def events_named(names: Sequence[str]) -> list[Event]:
    """The events of these names.

    Raises:
        UserError: a name that no rule knows.
    """
    unknown = [name for name in names if name not in EVENTS]
    if unknown:
        raise UserError(f"no event is called {unknown[0]!r}; there are {', '.join(EVENTS)}.")
    return [EVENTS[name] for name in names]
