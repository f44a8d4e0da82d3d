"""What a table of before and after says: which changes are real, which are good, and one sentence about the whole.

A change counts only when its 95 % interval excludes zero. Rows have roles, because they answer different questions:
the `reward` is what was trained on (it rises even when the motions get worse), the `judge` never saw the training
(it decides), `physics` is the price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from motionrft.intervals import Interval

Good = Literal["up", "down", "near", "none"]
Role = Literal["reward", "judge", "physics"]
Sign = Literal["better", "worse", "same", "moved", "unknown"]
Level = Literal["better", "mixed", "worse", "unclear", "none"]

# A fine-tune may cost this much of a physics metric before "better" becomes "mixed".
TOLERABLE_PRICE = 0.25


@dataclass(frozen=True)
class Row:
    """One metric over the compared columns (the first is the reference, usually "before").

    Attributes:
        metric: its name as people should read it.
        values: one interval a column, None where it was not measured.
        changes: for each later column, that column minus the first; paired over seeds or prompts where possible.
        good: which direction is better; "near" means nearer to `reference`.
        role: what the metric is to the run (see the module's docstring).
        unit: as printed after numbers ("mm", "%"), may be empty.
        reference: the value of real motion, shown in a column of its own.
        headline: the verdict rests on these judge rows; when none is marked, on all judge rows.
        note: a few words under the name ("32 candidates, one per label").
        least: the smallest change that matters, in the row's unit; a smaller one counts as none, however sure.
    """

    metric: str
    values: tuple[Interval | None, ...]
    changes: tuple[Interval | None, ...] = ()
    good: Good = "up"
    role: Role = "judge"
    unit: str = ""
    reference: float | None = None
    headline: bool = False
    note: str = ""
    least: float = 0.0

    @classmethod
    def paired(
        cls,
        metric: str,
        before: Sequence[float] | np.ndarray,
        after: Sequence[float] | np.ndarray,
        *,
        good: Good = "up",
        role: Role = "judge",
        unit: str = "",
        reference: float | None = None,
        headline: bool = False,
        note: str = "",
        least: float = 0.0,
    ) -> Row:
        """Row of samples paired index by index (same seed, same prompt, same noise)."""
        change = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
        values, changes = (Interval.of(before), Interval.of(after)), (Interval.of(change),)
        return cls(metric, values, changes, good, role, unit, reference, headline, note, least)

    def sign(self, column: int = 1) -> Sign:
        """How column `column` compares with the first one."""
        change = self.changes[column - 1] if column - 1 < len(self.changes) else None
        if change is None or change.low is None:
            return "unknown"
        if not change.sure or abs(change.mean) < self.least:
            return "same"
        return self._direction(column, change)

    def _direction(self, column: int, change: Interval) -> Sign:
        if self.good == "up":
            return "better" if change.mean > 0 else "worse"
        if self.good == "down":
            return "better" if change.mean < 0 else "worse"
        first, other = self.values[0], self.values[column]
        if self.good == "none" or self.reference is None or first is None or other is None:
            return "moved"
        nearer = abs(other.mean - self.reference) < abs(first.mean - self.reference)
        return "better" if nearer else "worse"

    def relative(self, column: int = 1) -> float | None:
        """Change as a fraction of the first column, None where that has no meaning."""
        change = self.changes[column - 1] if column - 1 < len(self.changes) else None
        first = self.values[0]
        if change is None or first is None or first.mean == 0 or not math.isfinite(change.mean / first.mean):
            return None
        return change.mean / abs(first.mean)


@dataclass(frozen=True)
class Verdict:
    """The whole in one word and one sentence; `better` and `worse` are the rows that moved beyond chance."""

    level: Level
    sentence: str
    better: tuple[Row, ...] = ()
    worse: tuple[Row, ...] = ()


def verdict(rows: Sequence[Row], column: int = 1, subject: str = "The fine-tune") -> Verdict:
    """Judge one column against the first one.

    Args:
        rows: the table.
        column: which column is judged; 0 is the reference.
        subject: how the sentence names what was done.
    """
    better = tuple(row for row in rows if row.sign(column) == "better")
    worse = tuple(row for row in rows if row.sign(column) == "worse")
    level, sentence = _judge(rows, better, worse, column, subject)
    return Verdict(level, sentence, better, worse)


def _judge(
    rows: Sequence[Row], better: Sequence[Row], worse: Sequence[Row], column: int, subject: str
) -> tuple[Level, str]:
    if not any(row.sign(column) != "unknown" for row in rows):
        return "none", "There is no comparison with intervals, so nothing can be said about a change."
    deciding = [row for row in rows if row.headline and row.role == "judge"]
    deciding = deciding or [row for row in rows if row.role == "judge"]
    gains = [row for row in better if row in deciding]
    losses = [row for row in worse if row.role == "judge"]
    reward_up = any(row.role == "reward" for row in better)
    if gains and losses:
        return "mixed", f"{subject} helped and harmed: {names(gains)} improved, {names(losses)} got worse."
    if losses:
        hacked = " The reward rose all the same: it was exploited, not satisfied." if reward_up else ""
        return "worse", f"{subject} made things worse: {names(losses)} fell behind.{hacked}"
    if gains:
        still = [row for row in deciding if row.sign(column) == "same"]
        return _price(gains, still, worse, column, subject)
    return _no_gain(deciding, worse, reward_up, subject)


def _price(
    gains: Sequence[Row], still: Sequence[Row], worse: Sequence[Row], column: int, subject: str
) -> tuple[Level, str]:
    """There are gains and no judge objects; physics may have paid for them."""
    prices = [row for row in worse if row.role == "physics"]
    rest = f" No sure change in {names(still)}." if still else ""
    if not prices:
        return "better", f"{subject} helped: {names(gains)} improved, and nothing measured got worse.{rest}"
    dear = [row for row in prices if abs(row.relative(column) or 0.0) > TOLERABLE_PRICE]
    if dear:
        return (
            "mixed",
            f"{subject} helped ({names(gains)}) at a high price: {names(dear)} clearly worse.{rest}",
        )
    return "better", f"{subject} helped: {names(gains)} improved, at a small price in {names(prices)}.{rest}"


def _no_gain(
    deciding: Sequence[Row], worse: Sequence[Row], reward_up: bool, subject: str
) -> tuple[Level, str]:
    if reward_up and not deciding:
        return "unclear", f"{subject} raised its own reward; no independent judge has looked at it yet."
    if reward_up:
        return (
            "unclear",
            f"{subject} raised its own reward, but the independent judge sees no change beyond chance.",
        )
    if worse:
        return "worse", f"{subject} improved nothing, and {names(worse)} got worse."
    return "unclear", f"{subject} changed nothing beyond chance."


def names(rows: Sequence[Row], most: int = 3) -> str:
    """Metric names as people list them: "A", "A and B", "A, B, C and 2 more"."""
    words = [row.metric for row in rows[:most]]
    if len(rows) > most:
        return f"{', '.join(words)} and {len(rows) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
