"""Preference and authenticity as two-class problems (MotionReward's evaluation)."""

from dataclasses import dataclass

from torch import Tensor

from motionrft.reward.classification import BinaryMetrics, swapped_metrics


@dataclass(frozen=True)
class PreferenceMetrics:
    """accuracy: share of pairs whose better motion scores higher, a tie being wrong.

    swapped: the two-class numbers after the seeded swap (positive class: the pair was swapped).
    """

    accuracy: float
    swapped: BinaryMetrics


def preference_metrics(scores: Tensor, swap: Tensor) -> PreferenceMetrics:
    """From `scores` (N, 2), column 0 the preferred motion, and `swap` (N,) bool.

    The published accuracy is a mean over batches, which weighs a short last batch more; this one is per pair.
    """
    better, worse = scores.unbind(dim=1)  # (N,) each
    swap = swap.bool().to(scores.device)  # (N,)
    accuracy = (better > worse).double().mean().item()
    return PreferenceMetrics(accuracy, swapped_metrics(better, worse, swap))


def authenticity_metrics(logits: Tensor, labels: Tensor) -> BinaryMetrics:
    """From `logits` (N, 2) and `labels` (N,): class 0 is real, class 1 generated and positive, as
    released."""
    return BinaryMetrics.of(logits.argmax(dim=1) == 1, labels == 1)
