"""Looks at held-out samples during tuning. What they mean is judged by `motionrft.training.watch`.

On motion capture of everyday acts, jitter and the evaluator's distance between text and motion (MM-Dist) warn
first when a reward is exploited; diversity hardly moves, and the reward itself keeps rising.
"""

import json
from collections.abc import Callable
from pathlib import Path

from motionrft.finetuning.preset import WatchPart
from motionrft.parsing import parsing
from motionrft.physics import RENAMED_MEASURES, current_names
from motionrft.training.run import read_lines
from motionrft.training.watch import Finding, Watch, Watched

LOOKS = "watch.jsonl"
"""The looks, one JSON line each, in the run's folder."""
SHOWN = ("reward", "mm_dist", "jitter", "skating_ratio", "motion_energy", "label_r1")


def watch_for(settings: WatchPart) -> Watch:
    """What is watched, and how far it may drift."""
    return Watch(
        [
            Watched("mm_dist", "lower", settings.mm_dist, relative=False, goal=True),
            Watched("jitter", "lower", settings.jitter),
            Watched("skating_ratio", "lower", settings.foot_skating),
            Watched("motion_energy", "steady", settings.motion_energy),
        ],
        stop=settings.stop,
    )


class Looks:
    """Samples and judges the generator every so many updates; the measure is the look before any update.

    Args:
        sample: means of the metrics of the generator as it is.
        folder: the run's.
    """

    def __init__(
        self, settings: WatchPart, watch: Watch, sample: Callable[[], dict[str, float]], folder: Path
    ):
        self.every, self.watch, self.sample, self.path = settings.every, watch, sample, folder / LOOKS

    def begin(self) -> None:
        """Look at the untuned generator, unless the run has done so before."""
        first = next((look for look in read_looks(self.path.parent) if look["update"] == 0), None)
        self.watch.begin(first or self._look(0))

    def __call__(self, step: int) -> Finding | None:
        """Called after every trajectory."""
        due = step // self.every > self.watch.last_step // self.every
        return self.watch.look(step, self._look(step)) if due else None

    def _look(self, step: int) -> dict[str, float]:
        found = self.sample()
        numbers = {name: found[name] for name in SHOWN if name in found}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"update": step, **numbers}) + "\n")
        return numbers


def read_looks(folder: Path) -> list[dict[str, float]]:
    """The looks of a run in order; one that was taken again after a crash counts once."""
    with parsing(folder / LOOKS, "the looks of a run"):
        lines = read_lines(folder / LOOKS)
        looks = {int(look["update"]): current_names(look, RENAMED_MEASURES) for look in lines}
    return [looks[update] for update in sorted(looks)]
