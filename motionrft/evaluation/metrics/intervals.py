"""Repetitions: mean and 95 % interval as the field prints them."""

from dataclasses import dataclass

from torch import Tensor

from motionrft.evaluation.metrics.exact import exact


@dataclass(frozen=True)
class Interval:
    """mean and half-width of the 95 % interval, both (k,) float64."""

    mean: Tensor
    half_width: Tensor


def replications(values: Tensor) -> Interval:
    """Over n repetitions of k metrics, (n, k): mean +- 1.96 * population std / sqrt(n)."""
    x = exact(values)
    return Interval(x.mean(dim=0), 1.96 * x.std(dim=0, correction=0) / x.shape[0] ** 0.5)
