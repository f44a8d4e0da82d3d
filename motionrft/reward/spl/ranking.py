"""Which captions do not find their own motion among all, and what they find: the same answer as `objective.mine`'s,
without asking of every motion whether it may count as wrong.

Whether two captions say nearly the same is a product of sentence vectors that are as long as embeddings, and matters
only for motions that come before the caption's own. So the best motions alone are asked, and more of them only where
those did not decide. What remains of the square of the clips is the product of embeddings and one maximum over it.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_FIRST, _MORE = 64, 4
"""Best motions that are asked first, and how many times as many each time that they did not decide."""
_GROUP = 64
"""Scores of which the largest stands for all while the best are looked for."""
_GATHERED = 32 * 2**20
"""Bytes of what is gathered of the best motions at once."""

Masked = Callable[[Tensor, Tensor], Tensor]
"""Of captions (b,) and motions (b, m): (b, m) bool, which of them are no wrong answers."""


def failed_retrievals(
    scores: Tensor, own: Tensor, k: int, masked: Masked, width: int
) -> tuple[Tensor, Tensor]:
    """Failed retrievals and the best wrong motion in their place.

    Args:
        scores: (B, N) of B captions to N motions, -inf where a motion may not count; it is overwritten.
        own: (B,) each caption's own motion.
        k: a retrieval fails when the own motion is not among the k best.
        masked: of which more motions are no wrong answers.
        width: bytes that `masked` needs of a caption and a motion.

    Returns:
        failed (B,) bool, and negative (B,) int64, which is 0 where it did not fail.
    """
    rows = torch.arange(len(own))
    mine = scores[rows, own]  # (B,)
    scores[rows, own] = float("-inf")
    failed, negative = torch.zeros(len(own), dtype=torch.bool), torch.zeros(len(own), dtype=torch.int64)
    count = max(_FIRST, _MORE * k)
    while len(rows):
        count = min(count, scores.shape[1])
        undecided = []
        for part in rows.split(max(1, _GATHERED // (count * max(width, 4 * _GROUP)))):
            values, places = largest(scores[part], count)  # (b, count) each, the best first
            before = values > mine[part, None]
            asked = before.sum(-1) >= k  # the others have found their own, whatever is masked
            part, places, before = part[asked], places[asked], before[asked]
            wrong = before & ~masked(own[part], places)
            missed = wrong.sum(-1) >= k
            failed[part] = missed
            negative[part] = torch.where(
                missed, places.gather(1, wrong.int().argmax(-1, keepdim=True))[:, 0], 0
            )
            undecided.append(part[~missed & before[:, -1] & (count < scores.shape[1])])
        rows, count = torch.cat(undecided), count * _MORE
    return failed, negative


def largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row (B, N) and their places, (B, count) each, the largest first.

    They lie in the `count` groups of largest maxima: one quick pass over all, and a sort of little.
    """
    columns = scores.shape[1]
    whole = columns // _GROUP
    if 4 * count > whole:
        return scores.topk(count)
    maxima = scores[:, : whole * _GROUP].unflatten(-1, (whole, _GROUP)).amax(-1)  # (B, groups)
    if columns % _GROUP:
        maxima = torch.cat((maxima, scores[:, whole * _GROUP :].amax(-1, keepdim=True)), dim=-1)
    groups = maxima.topk(count).indices  # (B, count)
    places = (groups[..., None] * _GROUP + torch.arange(_GROUP)).flatten(1)  # (B, count G)
    within = scores.gather(1, places.clamp(max=columns - 1)).masked_fill_(places >= columns, float("-inf"))
    values, best = within.topk(count)
    return values, places.gather(1, best)
