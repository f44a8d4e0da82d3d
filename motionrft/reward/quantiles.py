"""Where the scores of real motion lie, so that a score can be read as "better than 83 % of real clips"."""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from motionrft.physics import current_names

STEPS = 100


@dataclass(frozen=True)
class HeldOut:
    """Quantiles 0 to 100 of each term over real clips.

    clips: how many. split: of which part of the data set; "train" for rewards of earlier versions, which ranked a
        motion among the clips that the reward was trained on.
    """

    clips: int
    split: str
    quantiles: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of_scores(cls, scores: Mapping[str, Sequence[float]], split: str) -> "HeldOut":
        """From each term's values, one a clip."""
        levels = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)  # (STEPS + 1,)
        found = {
            name: torch.tensor(values, dtype=torch.float64).quantile(levels).tolist()
            for name, values in scores.items()
            if len(values)
        }
        return cls(max(map(len, scores.values()), default=0), split, found)

    @classmethod
    def of_reward(cls, about: Mapping[str, Any]) -> "HeldOut":
        """What a reward was saved with (its `about`)."""
        if "held_out" in about:
            return cls(**about["held_out"])
        old = current_names(about.get("quantiles", {}))
        # It was another quantity then: the speed of the faster foot.
        old.pop("foot_skating", None)
        return cls(0, "train", old)

    def plain(self) -> dict[str, Any]:
        """JSON values for a reward's `about`."""
        return asdict(self)

    @property
    def whose(self) -> str:
        """What a percentile counts, in words."""
        return (
            "clips the reward was trained on"
            if self.split == "train"
            else f"{self.clips} held-out real clips"
        )


def percentile(value: float, quantiles: Sequence[float]) -> float:
    """Per cent of the clips that score below `value`, equals counted half, in steps of the table."""
    below, not_above = bisect.bisect_left(quantiles, value), bisect.bisect_right(quantiles, value)
    return 50.0 * (below + not_above) / len(quantiles)
