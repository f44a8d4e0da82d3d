"""Looks at held-out samples during tuning. What they mean is judged by `motionrft.training.watch`.

On motion capture of everyday acts, jitter and the evaluator's distance between text and motion (MM-Dist) warn
first when a reward is exploited; diversity hardly moves, and the reward itself keeps rising. Where no evaluator fits,
the held-out reward is the goal, and the distance from what the untuned generator makes of the same noise guards it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionrft.finetuning.preset import WatchPart
from motionrft.parsing import parsing
from motionrft.physics import RENAMED_MEASURES, current_names
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.lines import read_lines
from motionrft.training.watch import Finding, Watch, Watched

LOOKS = "watch.jsonl"
"""The looks, one JSON line each, in the run's folder."""
EVENTS = ("events/integrity", "events/temporal", "events/frequency", "events/mean")
SHOWN = (
    "reward",
    "mm_dist",
    "distance",
    "jitter",
    "skating_ratio",
    "motion_energy",
    "label_r1",
    "raw_r1",
    *EVENTS,
)
SPREADS = 3.0
"""Standard deviations over the start's seeds that are no drift yet."""
SMALLEST = 0.005
"""Share of the start's value that is no drift yet, however little chance does."""
LEAST_LOOKS = 3


def watch_for(settings: WatchPart, judged: bool = True) -> Watch:
    """What is watched, and how far it may drift.

    Args:
        judged: whether an evaluator measures MM-Dist.
    """
    physics = [
        Watched("jitter", "lower", settings.jitter, spreads=SPREADS),
        Watched("skating_ratio", "lower", settings.foot_skating, spreads=SPREADS),
        Watched("motion_energy", "steady", settings.motion_energy, spreads=SPREADS),
    ]
    if not judged:
        # As far from the start as another noise would lead is as far as two strangers are.
        goals = [
            Watched("reward", "higher", SMALLEST, goal=True, spreads=SPREADS),
            Watched("distance", "lower", 0.0, relative=False, spreads=1.0),
        ]
    elif settings.mm_dist is None:
        goals = [Watched("mm_dist", "lower", SMALLEST, goal=True, spreads=SPREADS)]
    else:
        goals = [Watched("mm_dist", "lower", settings.mm_dist, relative=False, goal=True)]
    return Watch([*goals, *physics], stop=settings.stop)


@dataclass(frozen=True)
class Seen:
    """Means of the held-out metrics by name, and at the first look how far each spreads over seeds."""

    values: dict[str, float]
    spread: dict[str, float] = field(default_factory=dict)


class Looks:
    """Samples and judges the generator every so many updates; the measure is the look before any update.

    Args:
        sample: looks at the generator as it is; told whether this is the first look, which tells the spread too.
        folder: the run's; None in a process that another one writes for.
        progress: share of the run that is done after so many updates, in [0, 1], or None where nobody knows.
        company: the processes that look together. The first one's numbers count, in all of them.
    """

    def __init__(
        self,
        settings: WatchPart,
        watch: Watch,
        sample: Callable[[bool], Seen],
        folder: Path | None,
        progress: Callable[[int], float] | None = None,
        company: Distribution = ALONE,
    ):
        self.every, self.watch, self.sample, self.folder = settings.every, watch, sample, folder
        self.progress = progress or (lambda _: 0.0)
        self.company = company
        self._seen_share = 0.0

    def begin(self) -> None:
        """Look at the untuned generator, unless the run has done so before."""
        known = self._known().get(0)
        seen = self._look(0) if known is None else Seen(known, known.get("spread", {}))
        self.watch.begin(seen.values, seen.spread)
        self._seen_share = self.progress(self.watch.last_step)

    def __call__(self, step: int) -> Finding | None:
        """Called after every trajectory."""
        share = self.progress(step)
        due = step // self.every > self.watch.last_step // self.every
        due = due or int(share * LEAST_LOOKS) > int(self._seen_share * LEAST_LOOKS)
        if not due:
            return None
        self._seen_share = share
        return self.watch.look(step, self._look(step).values)

    def at_end(self, step: int) -> Finding:
        """Called once when the budget is spent."""
        looks = self._known()
        values = looks[step] if step in looks and step == self.watch.last_step else self._look(step).values
        return self.watch.end(step, values)

    def _known(self) -> dict[int, dict[str, Any]]:
        """Looks that the run has taken, by update; the same in every process."""

        def read() -> list[dict[str, Any]]:
            return [] if self.folder is None else read_looks(self.folder)

        looks = self.company.known(read)
        return {look["update"]: look for look in looks or ()}

    def _look(self, step: int) -> Seen:
        found = self.company.gather(self.sample(step == 0))[0]
        numbers = {name: found.values[name] for name in SHOWN if name in found.values}
        spread = {name: found.spread[name] for name in SHOWN if name in found.spread}
        line = {"update": step, **numbers, **({"spread": spread} if spread else {})}
        if self.folder is not None:
            with (self.folder / LOOKS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return Seen(numbers, spread)


def read_looks(folder: Path) -> list[dict[str, Any]]:
    """The looks of a run in order; one that was taken again after a crash counts once."""
    with parsing(folder / LOOKS, "the looks of a run"):
        lines = read_lines(folder / LOOKS)
        looks = {int(look["update"]): current_names(look, RENAMED_MEASURES) for look in lines}
    return [looks[update] for update in sorted(looks)]
