"""The held-out watch: reward hacking shows in what is not optimised, and the best checkpoint is chosen by it.

On motion capture of everyday acts, jitter and the evaluator's distance between text and motion (MM-Dist) warn
first; diversity hardly moves, and the reward itself keeps rising.
"""

import json
from collections.abc import Callable
from pathlib import Path

from motionrft.presets.finetune import WatchPart
from motionrft.training.atomic import write_text
from motionrft.training.run import RunFolder

LOOKS = "watch.jsonl"
"""The looks, one JSON line each, in the run's folder."""
SHOWN = ("reward", "mm_dist", "jitter", "foot_skating", "motion_energy", "label_r1")


class Watch:
    """Looks at held-out samples every so many updates; the first look, before any update, is the measure.

    Args:
        look: samples and judges the generator as it is: metric to mean.
        say: told of every warning.
        folder: the run's, whose best checkpoint is marked; looks are kept there as `watch.jsonl`.
    """

    def __init__(
        self,
        settings: WatchPart,
        look: Callable[[], dict[str, float]],
        say: Callable[[str], None],
        folder: RunFolder,
    ):
        self.settings, self.look, self.say, self.folder = settings, look, say, folder
        self.path: Path = folder.path / LOOKS
        self.looks: list[dict[str, float]] = []
        self._best: int | None = None

    def begin(self, step: int) -> None:
        """Take up the looks of the run so far, or take the first."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        self.looks = [look for line in lines if (look := json.loads(line))["update"] <= step]
        if not self.looks:
            self._add(step)

    def __call__(self, step: int) -> str | None:
        """Called after every trajectory: a sentence if the run should end."""
        self._mark_best()
        every = self.settings.every
        if step // every <= int(self.looks[-1]["update"]) // every:
            return None
        self._add(step)
        return self._judge()

    def finish(self) -> None:
        """The last checkpoint is saved now; it may be the best."""
        self._mark_best()

    def _add(self, step: int) -> None:
        numbers = self.look()
        self.looks.append({"update": step, **{name: numbers[name] for name in SHOWN if name in numbers}})
        write_text(self.path, "".join(json.dumps(look) + "\n" for look in self.looks))

    def _judge(self) -> str | None:
        """Warn of what drifts; a sentence where it has drifted too far."""
        for name, drift, limit in self._drifts(self.looks[-1]):
            if drift > self.settings.stop * limit:
                return f"{name} on held-out prompts rose by {drift:.3g}, more than {self.settings.stop:g} x {limit:g}"
            if drift > limit:
                self.say(
                    f"update {self.looks[-1]['update']}: {name} on held-out prompts rose by {drift:.3g} "
                    f"(limit {limit:g}): the reward may be gained at the cost of the motion"
                )
        return None

    def _drifts(self, look: dict[str, float]) -> list[tuple[str, float, float]]:
        """(name, rise since the first look, limit) of what is watched."""
        first, drifts = self.looks[0], []
        if "jitter" in look and first.get("jitter"):
            drifts.append(("jitter (relative)", look["jitter"] / first["jitter"] - 1, self.settings.jitter))
        if "mm_dist" in look and "mm_dist" in first:
            drifts.append(("MM-Dist", look["mm_dist"] - first["mm_dist"], self.settings.mm_dist))
        return drifts

    def _mark_best(self) -> None:
        """Point BEST at the look with the smallest MM-Dist among those whose jitter has not run away, once
        saved.
        """
        kept = [look for look in self.looks if self._tame(look) and "mm_dist" in look]
        if not kept:
            return
        best = int(min(kept, key=lambda look: look["mm_dist"])["update"])
        if best != self._best and self.folder.checkpoint(best).is_dir():
            self.folder.mark_best(best)
            self._best = best

    def _tame(self, look: dict[str, float]) -> bool:
        return all(drift <= self.settings.stop * limit for _, drift, limit in self._drifts(look))
