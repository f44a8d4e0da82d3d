"""How good the preference and the authenticity judge are: accuracy, precision, recall, F1 and the confusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def official_swaps(pairs: int, seed: int = 42) -> Tensor:
    """(N,) bool: the pairs that the published evaluation shows in reverse, by numpy's legacy generator."""
    return torch.from_numpy(np.random.RandomState(seed).rand(pairs) < 0.5)


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


def swapped_metrics(better: Tensor, worse: Tensor, swapped: Tensor) -> BinaryMetrics:
    """Preference as two classes, as published: "shown in reverse" is predicted where the motion shown first scores no
    more than the second. All are (N,)."""
    first, second = torch.where(swapped, worse, better), torch.where(swapped, better, worse)
    return BinaryMetrics.of(first <= second, swapped)


def preference_metrics(
    better: Tensor, worse: Tensor, swapped: Tensor | None = None, batches: Sequence[int] | None = None
) -> dict[str, float]:
    """How often the preferred motion scores higher.

    Args:
        better, worse: (N,) scores of N pairs.
        swapped: (N,) bool, pairs that are shown in reverse; a reversed pair is the positive class of precision,
            recall and F1.
        batches: sizes of consecutive batches whose accuracies and losses are averaged, as published; None takes
            every pair once.

    Returns:
        acc and loss (the ranking loss), precision, recall, f1.
    """
    swapped = official_swaps(len(better)) if swapped is None else swapped
    shown = swapped_metrics(better, worse, swapped)
    correct = (better > worse).double()
    losses = F.softplus(worse - better).double()
    sizes = [len(better)] if batches is None else list(batches)
    return {
        "acc": _mean_of_means(correct, sizes),
        "loss": _mean_of_means(losses, sizes),
        **_rates(shown),
    }


def authenticity_metrics(logits: Tensor, labels: Tensor, batch: int | None = None) -> dict[str, float]:
    """Real against generated; generated (1) is the positive class.

    Args:
        logits: (N, 2). labels: (N,) 0 real, 1 generated.
        batch: size of consecutive batches whose losses are averaged, as published; None takes every clip once.

    Returns:
        acc, loss, precision, recall, f1, and the confusion tp, fp, tn, fn.
    """
    found = BinaryMetrics.of(logits.argmax(-1) == 1, labels == 1)
    losses = F.cross_entropy(logits, labels, reduction="none").double()
    sizes = [len(part) for part in losses.split(batch or len(losses))]
    return {
        "acc": found.accuracy,
        "loss": _mean_of_means(losses, sizes),
        **_rates(found),
        "tp": found.true_positive,
        "fp": found.false_positive,
        "tn": found.true_negative,
        "fn": found.false_negative,
    }


def _rates(found: BinaryMetrics) -> dict[str, float]:
    return {"precision": found.precision, "recall": found.recall, "f1": found.f1}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _mean_of_means(values: Tensor, sizes: Sequence[int]) -> float:
    return torch.stack([part.mean() for part in values.split(list(sizes))]).mean().item()
