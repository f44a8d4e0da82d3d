"""Intervals of 95 %: of independent samples, of repetitions as the field prints them, of a share. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959964
"""97.5 % quantile of the standard normal."""
PRINTED_Z = 1.96
"""As papers round it."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval; `low` and `high` may be None when only the mean is known."""

    mean: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, samples: Sequence[float] | np.ndarray) -> Interval:
        """Student-t interval of independent samples (seeds, prompts); one sample gives a mean without interval."""
        from scipy.special import stdtrit

        values = np.asarray(samples, dtype=np.float64)  # (N,)
        mean = float(values.mean())
        if values.size < 2:
            return cls(mean)
        half = float(stdtrit(values.size - 1, 0.975) * values.std(ddof=1) / math.sqrt(values.size))
        return cls(mean, mean - half, mean + half)

    @property
    def sure(self) -> bool:
        """Whether the interval is known and excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def half_width(self) -> float:
        """Half the interval's width, 0 when it is unknown."""
        return 0.0 if self.low is None or self.high is None else (self.high - self.low) / 2


def replications(values: Sequence[float] | np.ndarray) -> Interval:
    """Of n repetitions of a metric as the field prints it: mean +- 1.96 * population std / sqrt(n) (Guo et al. 2022)."""
    x = np.asarray(values, dtype=np.float64)  # (N,)
    mean, half = float(x.mean()), float(PRINTED_Z * x.std() / math.sqrt(x.size))
    return Interval(mean, mean - half, mean + half)


def wilson(share: float, count: int, z: float = Z) -> Interval:
    """Of a share of `count` independent trials (Wilson 1927); it stays within [0, 1]."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, max(middle - reach, 0.0), min(middle + reach, 1.0))
