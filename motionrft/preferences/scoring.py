"""From the intervals that a judge saw to a score in [0, 1], one rule for each kind of prompt. Ours, not AToM's."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal, get_args

Kind = Literal["integrity", "temporal", "frequency"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MISSING = 0.25
"""Most that a temporal prompt can score when an event is missing, and least when all are there."""


def event_score(
    kind: Kind, events: Sequence[str], count: int, seen: Mapping[str, Sequence[tuple[int, int]]]
) -> float:
    """How well a motion does what its prompt tells.

    Args:
        kind: `integrity`: the share of events that happen. `temporal`: the share of pairs of events in the order told
            (Kendall), a quarter at least where all happen, a quarter of the share where not. `frequency`: one minus the
            relative error of the number of times, zero at least.
        events: their names in the order that they shall happen. count: how often the only one shall.
        seen: every event's intervals, (first frame, one after the last).
    """
    there = [bool(seen.get(event)) for event in events]
    if kind == "integrity":
        return sum(there) / len(events)
    if kind == "frequency":
        return max(0.0, 1.0 - abs(len(seen.get(events[0], ())) - count) / count)
    if not all(there):
        return MISSING * sum(there) / len(events)
    moments = [_moment(seen[event]) for event in events]
    ordered = [first < second for first, second in combinations(moments, 2)]
    return max(MISSING, sum(ordered) / len(ordered)) if ordered else 1.0


def _moment(intervals: Sequence[tuple[int, int]]) -> float:
    """When an event happens: the mean of its frames; it may happen more than once, or be seen where it hardly is."""
    frames = sum(end - start for start, end in intervals)
    return sum((end - start) * (start + end) / 2 for start, end in intervals) / frames
