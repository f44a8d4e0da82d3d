"""Text-motion retrieval: MotionReward's 32 candidates and TMR's protocols, both directions, in per cent.

Results are flat dictionaries `t2m/R01 … t2m/MedR` (text finds motion) and `m2t/…` of () float64 tensors,
unrounded.
"""

import numpy as np
import torch
from torch import Tensor

from motionrft.evaluation.metrics.exact import exact
from motionrft.reward.retrieval import RANKS, consecutive_groups

Recalls = dict[str, Tensor]


def tmr_all(similarity: Tensor) -> Recalls:
    """TMR protocol 1: every text against every motion; `similarity` (N, N), rows texts, the diagonal is
    right."""
    right = torch.eye(similarity.shape[0], dtype=torch.bool, device=similarity.device)  # (N, N)
    return _mean_over_groups(similarity[None], right[None])


def tmr_threshold(similarity: Tensor, sentences: Tensor, threshold: float = 0.95) -> Recalls:
    """TMR protocol 2: a motion is right if its text says nearly the same as the query's.

    Args:
        sentences: (N, E) sentence embeddings; right are cosines above 2 * threshold - 1.
    """
    unit = torch.nn.functional.normalize(sentences, dim=1)  # (N, E)
    right = unit @ unit.T > 2 * threshold - 1  # (N, N)
    right.fill_diagonal_(True)
    return _mean_over_groups(similarity[None], right.to(similarity.device)[None])


def tmr_small_batches(similarity: Tensor, order: Tensor, size: int = 32) -> Recalls:
    """TMR protocol 4: groups of 32 of the shuffled items, incomplete tail dropped, metrics averaged over
    groups."""
    groups = consecutive_groups(order.to(similarity.device), size)  # (G, size)
    within = similarity[groups[:, :, None], groups[:, None, :]]  # (G, size, size)
    right = torch.eye(groups.shape[1], dtype=torch.bool, device=similarity.device)  # (size, size)
    return _mean_over_groups(within, right.expand_as(within))


def retrieval_32(text: Tensor, motion: Tensor, order: Tensor, size: int = 32) -> Recalls:
    """MotionReward's protocol (paper, Table I): cosine within groups of 32 of the shuffled items.

    The released code fills the last group with unseeded random items; here the incomplete tail is dropped.

    Args:
        text, motion: (N, D) embeddings, any norm.
        order: (N,) int64, the shuffled items. One group of all N is the whole-set protocol: size = N.
    """
    unit = [torch.nn.functional.normalize(exact(x), dim=1) for x in (text, motion)]  # (N, D) each
    return tmr_small_batches(unit[0] @ unit[1].T, order, size)


def small_batch_order(items: int, seed: int = 0) -> Tensor:
    """(items,) TMR's order: positions of the sorted ids, shuffled by numpy's legacy generator."""
    order = np.arange(items)  # (items,)
    np.random.RandomState(seed).shuffle(order)
    return torch.from_numpy(order)


def _mean_over_groups(similarity: Tensor, right: Tensor) -> Recalls:
    """`similarity` and `right` (G, n, n); right need not be symmetric."""
    return {
        f"{direction}/{name}": value
        for direction, ranks in (
            ("t2m", _ranks(similarity, right)),
            ("m2t", _ranks(similarity.transpose(1, 2), right.transpose(1, 2))),
        )
        for name, value in _recalls(ranks).items()
    }


def _ranks(similarity: Tensor, right: Tensor) -> Tensor:
    """0-based rank of the best right candidate, (G, n) float64; a tie takes the mean of the tied places."""
    best = similarity.masked_fill(~right, -torch.inf).amax(dim=2, keepdim=True)  # (G, n, 1)
    # Written so that NaN is found nowhere.
    return (~(similarity <= best)).sum(dim=2) + ((similarity == best).sum(dim=2).double() - 1) / 2  # (G, n)


def _recalls(ranks: Tensor) -> dict[str, Tensor]:
    recalls = {f"R{k:02d}": 100 * (ranks < k).double().mean() for k in RANKS}
    return recalls | {"MedR": (ranks.quantile(0.5, dim=1) + 1).mean()}
