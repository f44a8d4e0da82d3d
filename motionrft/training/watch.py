"""The held-out watch: what is not optimised is measured now and then, and has the last word.

A reward can be pleased without the motion getting better. So a few series that the training does not see (an independent
evaluator's MM-Dist, jitter, foot skating, motion energy) are compared with their values before training. A drift is
counted in tolerances: one is worth a warning, several end the run, and the best checkpoint is the one with the least
drift, never the one with the most reward. Knows no torch and no motion.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Watched:
    """One series that is looked at.

    better: `higher` or `lower`; `steady` where any distance from the start is bad (motion energy: frozen or frantic).
    tolerance: the drift that is worth a warning, as a fraction of the start's value, or in the series' own unit.
    relative: whether the tolerance is such a fraction.
    spreads: the tolerance is at least so many standard deviations of the start's own value over seeds, where they are
        known: what chance does is no drift.
    goal: whether getting better counts in favour of a checkpoint. A guard (jitter) only ever counts against it.
    """

    name: str
    better: Literal["higher", "lower", "steady"]
    tolerance: float
    relative: bool = True
    goal: bool = False
    spreads: float = 0.0

    def drift(self, start: float, value: float, spread: float = 0.0) -> float:
        """How much worse than at the start, in tolerances; negative where a goal got better; infinite for NaN."""
        if not math.isfinite(value):
            return math.inf
        tolerance = max(self.tolerance * (abs(start) if self.relative else 1.0), self.spreads * spread)
        change = (value - start) / (tolerance or math.ulp(1.0))
        worse = {"higher": -change, "lower": change, "steady": abs(change)}[self.better]
        return worse if self.goal else max(worse, 0.0)


@dataclass(frozen=True)
class Finding:
    """What a look says.

    warnings: a sentence for each series beyond its tolerance.
    stop: the sentence that ends the run, or None.
    best: whether this is the best state so far, the start included.
    """

    warnings: tuple[str, ...] = ()
    stop: str | None = None
    best: bool = False


class Watch:
    """Remembers the start and the best.

    Args:
        watched: the series; every look brings a value for each.
        stop: tolerances at which the run ends.
    """

    def __init__(self, watched: Sequence[Watched], stop: float = 3.0) -> None:
        self.watched, self.stop = tuple(watched), stop
        self.start: dict[str, float] | None = None
        self.spread: dict[str, float] = {}
        """Standard deviation of each series over seeds before training; 0 where it is not known."""
        self.best_step, self.best_score = 0, 0.0
        """The best state so far; step 0 is the untrained start."""
        self.last_step = 0
        """Updates made at the latest look."""

    def begin(self, values: Mapping[str, float], spread: Mapping[str, float] | None = None) -> None:
        """Take the values before training, and how far they spread over seeds.

        Raises:
            ValueError: a series is missing or not finite: there is nothing to compare with.
        """
        self.start = {each.name: float(values[each.name]) for each in self.watched if each.name in values}
        self.spread = {name: value for name, value in (spread or {}).items() if math.isfinite(value)}
        wrong = [each.name for each in self.watched if not math.isfinite(self.start.get(each.name, math.nan))]
        if wrong:
            raise ValueError(f"the watch cannot begin: {', '.join(wrong)} missing or not finite")

    def look(self, step: int, values: Mapping[str, float]) -> Finding:
        """Judge the values after `step` updates."""
        assert self.start is not None, "look before begin"
        self.last_step = step
        drifts = {each: self._drift(each, values) for each in self.watched}
        warnings = tuple(self._sentence(each, values) for each, drift in drifts.items() if drift >= 1.0)
        worst = max(drifts, key=lambda each: drifts[each])
        stop = None
        if drifts[worst] >= self.stop:
            stop = f"the watch stopped the run: {self._sentence(worst, values)}; {self.best_sentence}"
        score = -sum(drifts.values())
        best = not warnings and score > self.best_score
        if best:
            self.best_step, self.best_score = step, score
        return Finding(warnings, stop, best)

    def end(self, step: int, values: Mapping[str, float]) -> Finding:
        """Judge the values at the end of a run: whatever is beyond its tolerance then has the last word."""
        found = self.look(step, values)
        if found.warnings and found.stop is None:
            broken = "; ".join(found.warnings)
            return Finding(
                found.warnings, f"the run ended beyond a tolerance: {broken}; {self.best_sentence}"
            )
        return found

    def _drift(self, each: Watched, values: Mapping[str, float]) -> float:
        assert self.start is not None
        return each.drift(self.start[each.name], values[each.name], self.spread.get(each.name, 0.0))

    @property
    def best_sentence(self) -> str:
        """Where the best state is, in words."""
        return f"best was update {self.best_step}" if self.best_step else "nothing was better than the start"

    def state_dict(self) -> dict[str, Any]:
        names = ("start", "spread", "best_step", "best_score", "last_step")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def _sentence(self, each: Watched, values: Mapping[str, float]) -> str:
        assert self.start is not None
        start, value = self.start[each.name], values[each.name]
        change = f" ({100 * (value - start) / abs(start):+.0f} %)" if start and math.isfinite(value) else ""
        return f"{each.name} went from {start:.4g} to {value:.4g}{change}"
