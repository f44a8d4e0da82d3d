"""R-Precision (raw, by label, on distinct batches) and MM-Dist (Guo et al. 2022).

Raw R-Precision asks whether a text finds *its own* motion among 32. Where several of the 32 show the same
act, even a perfect judge can only toss a coin between them: `coin_flip_bound` says how far a perfect judge
gets. `label` counts any motion of the same label as found; `distinct` asks the raw question in batches of 32
different labels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.evaluation.metrics.exact import distances, exact, squared_distances
from motionrft.reward.retrieval import same_label

TOPS = (1, 2, 3)


def distinct_groups(labels: Tensor, size: int, groups: int, generator: torch.Generator) -> Tensor:
    """Draw groups in which every item has another label.

    Args:
        labels: (N,) int64 on the CPU, as is the generator.
        size: items a group; fewer where there are fewer labels.

    Returns:
        (groups, min(size, number of labels)) int64 item indices: labels uniformly, then one item of each
        uniformly.
    """
    order = labels.argsort(stable=True)  # (N,)
    counts = labels.unique(return_counts=True)[1]  # (kinds,)
    starts = counts.cumsum(0) - counts  # (kinds,)
    size = min(size, counts.shape[0])
    keys = torch.rand(groups, counts.shape[0], generator=generator, dtype=torch.float64)  # (groups, kinds)
    chosen = keys.argsort(dim=1)[:, :size]  # (groups, size)
    within = (torch.rand(groups, size, generator=generator, dtype=torch.float64) * counts[chosen]).long()
    return order[starts[chosen] + within]  # (groups, size)


def r_precision(
    text: Tensor, motion: Tensor, groups: Tensor, tops: Sequence[int] = TOPS, labels: Tensor | None = None
) -> Tensor:
    """Share of texts that find a right motion among the k nearest of their group.

    Ties are settled by expectation over random order, so a generator that makes one motion for every text
    scores chance and not a hundred per cent.

    Args:
        text, motion: (N, D) embeddings; row n of both belong together.
        groups: (G, n) int64 item indices.
        labels: (N,) any motion with the text's label is right; None: only its own motion is.

    Returns:
        (len(tops),) float64 in [0, 1].
    """
    groups = groups.to(text.device)
    if labels is None:
        right = torch.eye(groups.shape[1], dtype=torch.bool, device=text.device).expand(len(groups), -1, -1)
    else:
        right = same_label(labels[groups.to(labels.device)]).to(text.device)  # (G, n, n)
    cost = _costs(text[groups], motion[groups], right)  # (G, n, n)
    right = right.to(cost.device)
    return torch.stack([_hit(cost, right, top).mean() for top in tops])


def coin_flip_bound(labels: Tensor, groups: Tensor, tops: Sequence[int] = TOPS) -> Tensor:
    """Raw R-Precision of a judge that knows every label and nothing else: (len(tops),) float64."""
    equals = same_label(labels[groups.to(labels.device)]).sum(dim=2).double()  # (G, n), itself included
    return torch.stack([(top / equals).clamp(max=1.0).mean() for top in tops])


def matching_distance(text: Tensor, motion: Tensor, groups: Tensor) -> Tensor:
    """MM-Dist: mean distance of a text to its own motion over the items of the groups, () float64."""
    items = groups.flatten().to(text.device)  # (G n,)
    return (exact(text[items]) - exact(motion[items])).norm(dim=1).mean()


def _costs(text: Tensor, motion: Tensor, right: Tensor) -> Tensor:
    """(G, n, n) numbers that are ordered as the distances of texts to motions (G, n, D) are, ties included.

    Squares from a matrix product decide, but where another candidate is so near the best right one that rounding
    could; those groups are computed from differences.
    """
    squares, off = squared_distances(text, motion)  # (G, n, n), (G, n, 1)
    best = squares.masked_fill(~right.to(squares.device), torch.inf).amin(dim=-1, keepdim=True)  # (G, n, 1)
    unclear = ((squares - best).abs() <= 2 * off).sum(-1).amax(-1) > 1  # (G,), the best itself is within
    if unclear.any():
        chosen = unclear.to(text.device)  # (G,)
        squares[unclear] = distances(text[chosen], motion[chosen])
    return squares


def _hit(cost: Tensor, right: Tensor, top: int) -> Tensor:
    """Probability that a right candidate is among the `top` cheapest when ties fall in random order, (...,
    n).

    With T candidates tied at the cheapest right cost, r of them right, and s places left for them, the s
    places are drawn without replacement: 1 - C(T - r, s) / C(T, s).
    """
    best = cost.masked_fill(~right, torch.inf).amin(dim=-1, keepdim=True)  # (G, n, 1)
    nearer = (cost < best).sum(dim=-1)  # (G, n)
    tied = (cost == best).sum(dim=-1)  # (G, n)
    wrong = ((cost == best) & ~right).sum(dim=-1)  # (G, n)
    places = torch.minimum((top - nearer).clamp(min=0), tied)  # (G, n)
    miss = _log_choose(wrong, places.clamp(max=wrong)) - _log_choose(tied, places)  # (G, n)
    return torch.where(places > wrong, 1.0, 1.0 - miss.exp())  # (G, n)


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    n, k = n.double(), k.double()
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
