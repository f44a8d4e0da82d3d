"""Several rewards as one: a weighted sum in which every term keeps its name and is reported raw."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motionrft.reward.base import Reward, RewardCondition


@dataclass(frozen=True)
class Part:
    """One reward of the sum, and how wide its embeddings are (0: it reads none)."""

    reward: Reward
    width: int = 0


class UnifiedReward(Reward):
    """The sum of its parts, each of which weights its own terms.

    All parts judge the same motion in the same representation; a part that works in another one converts it
    itself. The parts' text embeddings travel side by side in one condition, so that it can be indexed and moved
    like any other.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(part.reward for part in parts)
        self.widths = [part.width for part in parts]
        self.representation = parts[0].reward.representation
        self.differentiable = all(part.reward.differentiable for part in parts)
        self.ranges = {term: limits for part in parts for term, limits in part.reward.ranges.items()}

    @property
    def width(self) -> int:
        """Of its parts together: a sum may be a part of another."""
        return sum(self.widths)

    @property
    def kinematic_width(self) -> int | None:
        widths = (part.kinematic_width for part in self.parts)
        return next((width for width in widths if isinstance(width, int)), None)

    @property
    def term_weights(self) -> dict[str, float]:
        return {name: weight for part in self.parts for name, weight in part.term_weights.items()}  # type: ignore[union-attr, operator]

    @property
    def learnt_noise(self) -> bool:
        """Physics among the parts says no: of a noisy state it measures the noise."""
        return all(part.learnt_noise for part in self.parts)

    def remember(self, texts: Sequence[str]) -> None:
        for part in self.parts:
            part.remember(texts)  # type: ignore[operator]

    def settle(self) -> None:
        for part in self.parts:
            part.settle()  # type: ignore[operator]

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        conditions = [part.prepare(texts, references, lengths) for part in self.parts]  # type: ignore[operator]
        features = [condition.features for condition in conditions if condition.features is not None]
        return RewardCondition(
            self._side_by_side([condition.text for condition in conditions]),
            self._side_by_side([condition.reference for condition in conditions]),
            features[0] if features else None,
            next((condition.captions for condition in conditions if condition.captions), ()),
            self._side_by_side([condition.contrast for condition in conditions]),
        )

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        total = motion.new_zeros(len(motion))  # (B,)
        terms: dict[str, Tensor] = {}
        for part, own in zip(self.parts, self._split(condition), strict=True):
            value, raw = part(motion, lengths, own, t)
            total = total + value
            terms.update(raw)
        return total, terms

    def _split(self, condition: RewardCondition) -> list[RewardCondition]:
        parts, start = [], 0
        for width in self.widths:
            columns = slice(start, start + width)
            start += width
            parts.append(
                RewardCondition(
                    None if condition.text is None or not width else condition.text[:, columns],
                    None if condition.reference is None or not width else condition.reference[:, columns],
                    condition.features if width else None,
                    condition.captions,
                    None if condition.contrast is None or not width else condition.contrast[:, columns],
                )
            )
        return parts

    def _side_by_side(self, embeddings: Sequence[Tensor | None]) -> Tensor | None:
        """(B, sum of widths); zeros where a part has none, such as a reward whose text has no weight."""
        there = next((embedding for embedding in embeddings if embedding is not None), None)
        if there is None:
            return None
        pairs = zip(embeddings, self.widths, strict=True)
        return torch.cat([there.new_zeros(len(there), n) if e is None else e for e, n in pairs], dim=-1)
