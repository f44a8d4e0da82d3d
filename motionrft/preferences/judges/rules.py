"""The rule judge: events are read off the joints. Deterministic, free, and blind to all but `events.EVENTS`."""

import time
from collections.abc import Iterator, Sequence

from motionrft.errors import UserError
from motionrft.preferences.detection import detect
from motionrft.preferences.events import EVENTS
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.scoring import event_score


class RuleJudge(Judge):
    """See `motionrft.preferences.detection`."""

    name = "rules"
    identity = "rules-2"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        for place, item in enumerate(items):
            unknown = [event for event in item.prompt.events if event not in EVENTS]
            if unknown:
                raise UserError(
                    f"{item.prompt.id}: no rule sees {unknown[0]!r}; they see {', '.join(EVENTS)}. Name another judge."
                )
            began = time.perf_counter()
            seen = detect(item.joints, item.fps)
            told = {event: seen[event] for event in item.prompt.events}
            score = event_score(item.prompt.kind, item.prompt.events, item.prompt.count, told)
            raw = {event: [list(interval) for interval in intervals] for event, intervals in told.items()}
            yield place, Judgement(score, {"seen": raw}, time.perf_counter() - began)
