"""Self-refinement preference learning: a reward learns from its own failed retrievals (the MotionRFT article).

Three losses. `refinement` is ours: the negative is the best-scoring wrong motion of a bank of the whole training set,
captions that say nearly the same are masked, one temperature, log-softmax. `paper` transcribes the article's
Eqs. 10 to 13. `official` is EasyTune's published code: in-batch, temperature applied twice, and a row counts as a hit
when *any* of its cosines is high.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def mine(similarity: Tensor, own: Tensor, k: int, masked: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Failed retrievals and what was found in their place.

    Args:
        similarity: (B, N) of B captions to a bank of N motions.
        own: (B,) each caption's own motion in the bank.
        k: a retrieval fails when the own motion is not among the k best.
        masked: (B, N) bool, motions that may not serve as wrong answers (near-duplicate captions).

    Returns:
        failed (B,) bool, and negative (B,) the best-scoring wrong motion.
    """
    rows = torch.arange(len(own), device=own.device)
    scores = similarity if masked is None else similarity.masked_fill(masked, float("-inf"))
    scores = scores.clone()
    mine_alone = similarity[rows, own]
    scores[rows, own] = float("-inf")
    rank = (scores > mine_alone[:, None]).sum(-1)
    return rank >= k, scores.argmax(-1)


def refinement_loss(own: Tensor, negative: Tensor, failed: Tensor, temperature: float = 0.1) -> Tensor:
    """-log softmax of the own motion against its negative, meaned over the failed rows; 0 where none failed.

    Args:
        own, negative: (B,) cosines, with gradient through the motions that were encoded again.
    """
    each = F.softplus((negative - own) / temperature)
    return (each * failed).sum() / failed.sum().clamp(min=1)


def paper_refinement(own: Tensor, negative: Tensor, batch: int) -> Tensor:
    """The article's loss (Eqs. 12 and 13) of the failed rows of a batch, meaned over the whole batch.

    KL((1, 0) || softmax(own, negative)) without a temperature; rows that found their own motion add zero.

    Args:
        own, negative: (F,) cosines of the failed rows. batch: rows of the batch, failed or not.
    """
    return F.softplus(negative - own).sum() / batch


def paper_loss(text: Tensor, motion: Tensor, k: int) -> Tensor:
    """The article's loss with the batch as the pool; text, motion (N, L), rows are pairs.

    KL(Q || P) with P = softmax(own, negative), no temperature; a hit has its own motion as the negative, so it adds
    zero and has no gradient.
    """
    similarity = cosines(text, motion)
    best = similarity.topk(min(k, len(text)), dim=-1).indices
    own = similarity.diagonal()
    hit = (best == torch.arange(len(text), device=text.device)[:, None]).any(-1)
    negative = torch.where(hit, own, similarity.gather(1, best[:, :1])[:, 0])
    target = torch.where(hit[:, None], own.new_tensor([0.5, 0.5]), own.new_tensor([1.0, 0.0]))
    log_p = torch.log_softmax(torch.stack((own, negative), dim=-1), dim=-1)
    return _divergence(target, log_p)


def official_loss(
    text: Tensor, motion: Tensor, k: int = 10, temperature: float = 0.1, high: float = 0.8
) -> Tensor:
    """EasyTune's published loss; text, motion (N, L), rows are pairs.

    Two differences, neither visible where the published loss is finite: the softmax is fused with its logarithm
    (theirs overflows), and batches under k do not fail.
    """
    similarity = cosines(text, motion)
    top = similarity.topk(min(k, len(text)), dim=-1).indices
    inside = (top == torch.arange(len(text), device=text.device)[:, None]).any(-1)
    correct = inside | (similarity > high).any(-1)
    logits = torch.stack((similarity.amax(-1), similarity.diagonal()), dim=-1) / temperature
    target = torch.where(correct[:, None], logits.new_tensor([0.5, 0.5]), logits.new_tensor([0.0, 1.0]))
    return _divergence(target, torch.log_softmax(logits / temperature, dim=-1))


def near_duplicates(queries: Tensor, bank: Tensor, threshold: float = 0.8) -> Tensor:
    """(B, N) bool: captions whose sentence vectors (B, E), (N, E) have a cosine above the threshold."""
    return cosines(queries, bank) > threshold


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """(A, B) cosine matrix."""
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def _divergence(target: Tensor, log_p: Tensor) -> Tensor:
    """Mean over rows of KL(target || P); 0 log 0 is 0."""
    return (torch.xlogy(target, target) - target * log_p).sum(-1).mean()  # over (N, K), ()
