"""Rule judges: events are read off the joints. Deterministic, free, and blind to all but the events of their rules."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from motionrft.errors import UserError
from motionrft.preferences.detection import Interval, detect
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.scoring import event_score
from motionrft.preferences.swings import SEEN, detect_swings
from motionrft.reward.events import EVENTS

Detector = Callable[[np.ndarray, float], dict[str, list[Interval]]]
"""Joints (T, 22, 3) and their rate to the intervals of every event that is known."""


class RuleJudge(Judge):
    """See `motionrft.preferences.detection`, or `swings` for the second set of rules.

    Args:
        version: part of the answers' key; a change of rules is another one. sees: events.
    """

    def __init__(
        self,
        name: str = "rules",
        version: int = 3,
        detector: Detector = detect,
        sees: Sequence[str] = tuple(EVENTS),
    ):
        self.name, self.version, self.detector, self.sees = name, version, detector, sees

    @property
    def identity(self) -> str:
        return f"{self.name}-{self.version}"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        for place, item in enumerate(items):
            unknown = [event for event in item.prompt.events if event not in self.sees]
            if unknown:
                raise UserError(
                    f"{item.prompt.id}: judge {self.name} does not see {unknown[0]!r}; it sees "
                    f"{', '.join(self.sees)}. Name another judge."
                )
            began = time.perf_counter()
            seen = self.detector(item.joints, item.fps)
            told = {event: seen[event] for event in item.prompt.events}
            score = event_score(item.prompt.kind, item.prompt.events, item.prompt.count, told)
            raw = {event: [list(interval) for interval in intervals] for event, intervals in told.items()}
            yield place, Judgement(score, {"seen": raw}, time.perf_counter() - began)


def second_rules() -> RuleJudge:
    """Rules written apart from the first, which check what was tuned by them."""
    return RuleJudge("swings", 1, detect_swings, SEEN)
