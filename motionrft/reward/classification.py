"""How good the preference and the authenticity judge are: accuracy, precision, recall, F1 and the confusion."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def official_swaps(pairs: int, seed: int = 42) -> Tensor:
    """(N,) bool: the pairs that the published evaluation shows in reverse, by numpy's legacy generator."""
    return torch.from_numpy(np.random.RandomState(seed).rand(pairs) < 0.5)


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
    first, second = torch.where(swapped, worse, better), torch.where(swapped, better, worse)
    correct = (better > worse).double()
    losses = F.softplus(worse - better).double()
    sizes = [len(better)] if batches is None else list(batches)
    return {
        "acc": _mean_of_means(correct, sizes),
        "loss": _mean_of_means(losses, sizes),
        **_rates(first <= second, swapped),
    }


def authenticity_metrics(logits: Tensor, labels: Tensor, batch: int | None = None) -> dict[str, float]:
    """Real against generated; generated (1) is the positive class.

    Args:
        logits: (N, 2). labels: (N,) 0 real, 1 generated.
        batch: size of consecutive batches whose losses are averaged, as published; None takes every clip once.

    Returns:
        acc, loss, precision, recall, f1, and the confusion tp, fp, tn, fn.
    """
    predicted, positive = logits.argmax(-1) == 1, labels == 1
    losses = F.cross_entropy(logits, labels, reduction="none").double()
    sizes = [len(part) for part in losses.split(batch or len(losses))]
    return {
        "acc": (predicted == positive).double().mean().item(),
        "loss": _mean_of_means(losses, sizes),
        **_rates(predicted, positive),
        "tp": (predicted & positive).sum().item(),
        "fp": (predicted & ~positive).sum().item(),
        "tn": (~predicted & ~positive).sum().item(),
        "fn": (~predicted & positive).sum().item(),
    }


def _rates(predicted: Tensor, positive: Tensor) -> dict[str, float]:
    hits = (predicted & positive).sum().item()
    precision = hits / max(predicted.sum().item(), 1)
    recall = hits / max(positive.sum().item(), 1)
    both = precision + recall
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / both if both else 0.0}


def _mean_of_means(values: Tensor, sizes: Sequence[int]) -> float:
    return torch.stack([part.mean() for part in values.split(list(sizes))]).mean().item()
