"""Preference and authenticity as two-class problems (MotionReward's evaluation)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BinaryMetrics:
    """Class 1 is the positive class; shares in [0, 1]; a ratio without a case is 0."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, predicted: Tensor, labels: Tensor) -> "BinaryMetrics":
        """From (N,) predicted and true classes, bool or 0/1."""
        predicted, labels = predicted.bool(), labels.bool()
        cells = [predicted & labels, predicted & ~labels, ~predicted & labels, ~predicted & ~labels]
        tp, fp, fn, tn = torch.stack([c.sum() for c in cells]).tolist()
        precision, recall = _ratio(tp, tp + fp), _ratio(tp, tp + fn)
        f1 = _ratio(2 * precision * recall, precision + recall)
        return cls(_ratio(tp + tn, tp + fp + fn + tn), precision, recall, f1, tp, fp, fn, tn)


@dataclass(frozen=True)
class PreferenceMetrics:
    """accuracy: share of pairs whose better motion scores higher, a tie being wrong.

    swapped: the two-class numbers after the seeded swap (positive class: the pair was swapped).
    """

    accuracy: float
    swapped: BinaryMetrics


def preference_metrics(scores: Tensor, swap: Tensor) -> PreferenceMetrics:
    """From `scores` (N, 2), column 0 the preferred motion, and `swap` (N,) bool.

    "Swapped" is predicted where the motion shown first scores no more than the second. The published accuracy
    is a mean over batches, which weighs a short last batch more; this one is per pair.
    """
    better, worse = scores.unbind(dim=1)
    swap = swap.bool().to(scores.device)
    first, second = torch.where(swap, worse, better), torch.where(swap, better, worse)
    accuracy = (better > worse).double().mean().item()
    return PreferenceMetrics(accuracy, BinaryMetrics.of(first <= second, swap))


def authenticity_metrics(logits: Tensor, labels: Tensor) -> BinaryMetrics:
    """From `logits` (N, 2) and `labels` (N,): class 0 is real, class 1 generated and positive, as
    released."""
    return BinaryMetrics.of(logits.argmax(dim=1) == 1, labels == 1)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
