"""Limits on scores, which turn scoring into a linter."""

from collections.abc import Sequence
from dataclasses import dataclass

from motionrft.errors import UserError
from motionrft.reward.scoring import Score, Term


@dataclass(frozen=True)
class Limits:
    """The linter's thresholds by term.

    under: a score below it fails. over: a score above it fails.
    """

    under: dict[Term, float]
    over: dict[Term, float]

    def broken(self, score: Score) -> list[str]:
        """What is wrong with a motion, in words; empty if nothing is. A score that could not be had fails too."""
        found = []
        for name, limit in self.under.items():
            value = score.scores[name]
            if value is None or not value >= limit:
                found.append(f"{name} {_shown(value)} is under {limit:g}")
        for name, limit in self.over.items():
            value = score.scores[name]
            if value is None or not value <= limit:
                found.append(f"{name} {_shown(value)} is over {limit:g}")
        return found

    def check(self, terms: Sequence[Term]) -> None:
        """Raises `UserError` for a limit on a term that is not scored."""
        for name in (*self.under, *self.over):
            if name not in terms:
                raise UserError(
                    f"there is a limit on {name}, which is not scored; scored are {', '.join(terms)}"
                )


def _shown(value: float | None) -> str:
    return "unknown (no text, or too few frames)" if value is None else f"{value:.4g}"
