"""The losses of DPO and SoPo as pure functions of denoising errors (B,); a pair shares time and noise."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.finetuning.pair_values import PairValues


def dpo_margin(errors: PairValues, beta: float) -> Tensor:
    """(B,) z = -(beta / 2) [(e_w - e_l) - (e_w_ref - e_l_ref)]; positive where a pair is ordered right.

    The loss is -log sigmoid(z) (Wallace et al. 2024, Eq. 14).
    """
    return -0.5 * beta * errors.gap  # (B,)


def dpo_loss(errors: PairValues, beta: float) -> Tensor:
    """(B,) -log sigmoid of `dpo_margin`."""
    return -F.logsigmoid(dpo_margin(errors, beta))


@dataclass(frozen=True)
class SopoChoice:
    """What SoPo makes of the K samples of each prompt.

    worst: (B,) int64, the sample of lowest score. keep: (B,) 1.0 where it is bad enough to be unpreferred, else
    0.0. weight: (B,) beta_w, of the preferred term.
    """

    worst: Tensor  # (B,)
    keep: Tensor  # (B,)
    weight: Tensor  # (B,)

    def without_threshold(self) -> "SopoChoice":
        """Every worst sample is unpreferred."""
        return SopoChoice(self.worst, torch.ones_like(self.keep), self.weight)

    def without_weight(self, beta: float) -> "SopoChoice":
        """Every preferred motion counts alike."""
        return SopoChoice(self.worst, self.keep, torch.full_like(self.weight, beta))


def sopo_choice(scores: Tensor, similarities: Tensor, tau: float, c: float, beta: float) -> SopoChoice:
    """Eq. 13 and 14 of Tan et al. 2025 (arXiv 2412.05095).

    Args:
        scores: (B, K) of the samples for their text, in [0, 1], the scale that `tau` is on.
        similarities: (B, K) of the recorded motion and each sample, in [0, 1].
        tau: below it the worst sample is unpreferred.
        c: beta_w = beta (c - lowest similarity).
    """
    low, worst = scores.min(1)  # (B,) each
    keep = (low < tau).to(scores.dtype)  # (B,)
    return SopoChoice(worst, keep, beta * (c - similarities.amin(1)))


def sopo_loss(errors: PairValues, choice: SopoChoice, beta: float, scale: float = 1.0) -> Tensor:
    """(B,) -log sigmoid(-scale [beta_w (e_w - e_w_ref) - keep beta (e_l - e_l_ref)]), Eq. 15 and 16.

    Algorithm 1 misprints it with beta_w before the whole bracket and without the minus.

    Args:
        scale: the article's T omega_t; the released byte code has 1.
    """
    preferred, unpreferred = choice.weight * errors.won_drift, choice.keep * beta * errors.lost_drift
    return -F.logsigmoid(-scale * (preferred - unpreferred))  # (B,)


def similarity_score(first: Tensor, second: Tensor) -> Tensor:
    """(B,) cosine / 2 + 0.5 of embeddings (B, L), row by row: the scale of `tau`, and of TMR's score."""
    return F.cosine_similarity(first, second, dim=-1) / 2 + 0.5  # (B,)
