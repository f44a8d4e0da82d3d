"""Preference losses on the log-probabilities of written motions, (B,) nats each: pure functions, as published.

z = (lp_w - lp_l) - (lp_w^ref - lp_l^ref), of the better (w) and the worse (l) motion under the tuned model and the
untuned one (ref).
`preference_losses` has those of diffusion, where errors of denoising stand for log-probabilities.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.finetuning.methods.dpo import TokenLoss
from motionrft.finetuning.pair_values import PairValues
from motionrft.generators.motion_tokens import TokenScores


def pair_scores(
    won: TokenScores, lost: TokenScores, won_before: TokenScores, lost_before: TokenScores, averages: bool
) -> PairValues:
    """Sums over each motion's tokens, or means over them with `averages`; `before` is the untuned model's."""
    each = (won, lost, won_before, lost_before)
    return PairValues(*(scores.means if averages else scores.sums for scores in each))


def token_loss(name: TokenLoss, scores: PairValues, beta: float, smoothing: float | Tensor = 0.0) -> Tensor:
    """Losses of B pairs.

    Args:
        beta: of the implicit reward beta (lp - lp^ref). With `ipo` on means over tokens 0.1 asks for a gap of 5 nats a
            token, which is out of reach: it is a constant pull there, and its size a rate.
        smoothing: probability, one or (B,), that a pair is the wrong way round; for `sigmoid` alone.

    Returns:
        (B,), of `kto_pair` (2B,): the better motions' first, then the worse ones'.
    """
    return _LOSSES[name](
        scores, beta, torch.as_tensor(smoothing, dtype=scores.won.dtype).to(scores.won.device)
    )


def _sigmoid(scores: PairValues, beta: float, smoothing: Tensor) -> Tensor:
    """-(1 - q) log sigmoid(beta z) - q log sigmoid(-beta z): Rafailov et al. 2023, Eq. 7; smoothed, Mitchell 2023."""
    z = beta * scores.gap  # (B,)
    return -(1 - smoothing) * F.logsigmoid(z) - smoothing * F.logsigmoid(-z)


def _ipo(scores: PairValues, beta: float, smoothing: Tensor) -> Tensor:
    """(B,) values (z - 1 / (2 beta))^2: Azar et al. 2023, Eq. 17."""
    return (scores.gap - 1 / (2 * beta)).square()


def _hinge(scores: PairValues, beta: float, smoothing: Tensor) -> Tensor:
    """max(0, 1 - beta z): SLiC-HF, Zhao et al. 2023."""
    return F.relu(1 - beta * scores.gap)


def _kto(scores: PairValues, beta: float, smoothing: Tensor) -> Tensor:
    """(2 B,): each half against the mean drift of the other: Ethayarajh et al. 2024, Eq. 8, in pairs."""
    won, lost = scores.won_drift, scores.lost_drift  # (B,) each
    won_kl, lost_kl = won.mean().clamp(min=0), lost.mean().clamp(min=0)
    return torch.cat([1 - torch.sigmoid(beta * (won - lost_kl)), 1 - torch.sigmoid(beta * (won_kl - lost))])


_LOSSES: Mapping[TokenLoss, Callable[[PairValues, float, Tensor], Tensor]] = {
    "sigmoid": _sigmoid,
    "ipo": _ipo,
    "hinge": _hinge,
    "kto_pair": _kto,
}
