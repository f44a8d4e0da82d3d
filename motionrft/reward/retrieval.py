"""Retrieval of motions by text and texts by motion among 32 candidates: how a semantic reward is validated.

Embedding means, fixed captions, a seeded shuffle, the incomplete last group dropped. In `label` recall, a
candidate of the query's own kind counts as found too.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.training.seeds import generator_for

RANKS = (1, 2, 3, 5, 10)
"""The k of R@k."""
CANDIDATES = 32


def consecutive_groups(order: Tensor, size: int = CANDIDATES) -> Tensor:
    """Cut an order of items, (N,) int64, into whole groups: (N // size, size). The incomplete tail is
    dropped."""
    whole = order.shape[0] // size
    return order[: whole * size].reshape(whole, size)


def same_label(labels: Tensor) -> Tensor:
    """(G, n) labels to (G, n, n) bool: which candidates are of the query's kind."""
    return labels[:, :, None] == labels[:, None, :]


def shuffled_groups(items: int, seed: int = 42, candidates: int = CANDIDATES) -> Tensor:
    """(G, candidates) int64: items in a seeded order, in groups. Fewer items than that make one group."""
    candidates = min(candidates, items)
    order = torch.randperm(items, generator=generator_for(seed, "retrieval"))  # (N,)
    return consecutive_groups(order, candidates)


def distinct_groups(labels: Tensor, groups: int, seed: int = 42, candidates: int = CANDIDATES) -> Tensor:
    """(groups, candidates) int64: random groups in which no two items share a label."""
    draws = generator_for(seed, "distinct retrieval")
    kinds = int(labels.max()) + 1
    members = [torch.nonzero(labels == kind)[:, 0] for kind in range(kinds)]  # (n,) each
    members = [group for group in members if len(group)]
    rows = []
    for _ in range(groups):
        kinds_here = torch.randperm(len(members), generator=draws)[:candidates]
        picks = [members[int(kind)] for kind in kinds_here]
        rows.append(torch.stack([p[torch.randint(len(p), (), generator=draws)] for p in picks]))
    return torch.stack(rows)


def recall(text: Tensor, motion: Tensor, groups: Tensor, labels: Tensor | None = None) -> dict[str, float]:
    """R@k in both directions, in per cent.

    Args:
        text, motion: (N, L) embeddings of N pairs.
        groups: (G, n) items that are each other's candidates.
        labels: (N,) kinds; with them, any candidate of the query's kind counts.

    Returns:
        `t2m/R1` … `t2m/R10` (a text finds its motion), `m2t/R1` …; wrong candidates that are tied with the right one
        stand half before it, so that a judge to whom all is one finds nothing.
    """
    unit_text, unit_motion = F.normalize(text, dim=-1), F.normalize(motion, dim=-1)
    similarity = unit_text[groups] @ unit_motion[groups].transpose(1, 2)  # (G, n, n)
    if labels is None:
        right = torch.eye(groups.shape[1], dtype=torch.bool).expand_as(similarity)
    else:
        right = same_label(labels[groups])
    result = {}
    for direction, scores, good in (
        ("t2m", similarity, right),
        ("m2t", similarity.transpose(1, 2), right.transpose(1, 2)),
    ):
        best = scores.masked_fill(~good, float("-inf")).amax(-1, keepdim=True)
        # Written so that NaN is found nowhere.
        rank = (~(scores <= best)).sum(-1) + ((scores == best) & ~good).sum(-1) / 2  # (G, n)
        result.update({f"{direction}/R{k}": 100.0 * (rank < k).double().mean().item() for k in RANKS})
    return result


def recall_protocols(
    text: Tensor, motion: Tensor, labels: Tensor | None, seed: int = 42
) -> dict[str, dict[str, float]]:
    """`raw` recall, and where there are labels `label` and (of several kinds) `distinct` recall as well.

    `candidates` is how many were ranked: 32, or all clips and all kinds where there are fewer.
    """
    groups = shuffled_groups(len(text), seed)
    asked = {"raw": (groups, None)} | ({} if labels is None else {"label": (groups, labels)})
    if labels is not None and len(labels.unique()) > 1:
        asked["distinct"] = (distinct_groups(labels, 4 * len(groups), seed), None)
    return {
        name: recall(text, motion, among, kinds) | {"candidates": float(among.shape[1])}
        for name, (among, kinds) in asked.items()
    }


def protocol_in_words(name: str, recalls: Mapping[str, float]) -> str:
    """What tables call a protocol, whose heading says that 32 are ranked: with the number where it is smaller."""
    count = int(recalls.get("candidates", CANDIDATES))
    return name if count >= CANDIDATES else f"{name}, among {count}"
