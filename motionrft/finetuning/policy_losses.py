"""What policy gradients minimise, as pure functions of log-probabilities and means.

Log-probabilities are means over the numbers of a state (`motionrft.diffusion.process.log_prob`); the published clip
range of 1e-4 is meant for these.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.lengths import masked_mean


@dataclass(frozen=True)
class Clipped:
    """The clipped objective of N samples at one denoising step.

    loss: (N,). ratio: (N,) new over old probability. mean_ratio: () of those that count. approximate_kl: () 0.5 mean
    (new - old)^2. clipped_share: () share of samples whose ratio is further than `clip` from 1.
    """

    loss: Tensor  # (N,)
    ratio: Tensor  # (N,)
    mean_ratio: Tensor
    approximate_kl: Tensor
    clipped_share: Tensor


def clipped_loss(
    log_prob: Tensor,
    old: Tensor,
    advantages: Tensor,
    clip: float,
    advantage_clip: float,
    counted: Tensor | None = None,
) -> Clipped:
    """max(-A r, -A clamp(r, 1 - clip, 1 + clip)) for A clamped to +-advantage_clip (Schulman et al. 2017).

    Args:
        log_prob: (N,) under the weights of now; old: (N,) under those that sampled; advantages: (N,).
        counted: (N,) 1 where a sample counts in the means, 0 where not; None counts all, as published.
    """
    ratio = torch.exp(log_prob - old)  # (N,)
    gain = advantages.clamp(-advantage_clip, advantage_clip)  # (N,)
    loss = torch.maximum(-gain * ratio, -gain * ratio.clamp(1 - clip, 1 + clip))  # (N,)
    difference = (log_prob - old).detach()  # (N,)
    far = (ratio.detach() - 1).abs() > clip  # (N,)
    share = torch.ones_like(ratio) if counted is None else counted.to(ratio.dtype)  # (N,)
    share = share / share.sum().clamp_min(1)

    def mean(each: Tensor) -> Tensor:
        return (share * each).sum()

    return Clipped(loss, ratio, mean(ratio), 0.5 * mean(difference.square()), mean(far.to(ratio.dtype)))


def mean_distance(
    mean: Tensor, reference: Tensor, deviation: Tensor | float, mask: Tensor | None = None
) -> Tensor:
    """(N,) |mean - reference|^2 / (2 deviation^2), averaged over valid numbers.

    With `deviation` the step's whole deviation s this is the divergence of two Gaussians a number, the article's
    penalty. Flow-GRPO's code divides by g = s / sqrt(dt) instead, which makes it dt times as large: the published
    weight of 0.04 belongs to that one.

    Args:
        mean, reference: (N, ...); mask: broadcastable to them, True where a number counts; None counts all.
    """
    return masked_mean((mean - reference).square() / (2 * deviation**2), mask)  # (N,)


def reference_divergence(log_prob: Tensor, reference: Tensor) -> Tensor:
    """exp(d) - d - 1 for d = reference - log_prob, an unbiased, never negative estimate of the divergence from the
    reference at what was drawn (Schulman 2020; Shao et al. 2024, Eq. 4). Any shape.
    """
    difference = reference - log_prob
    return torch.exp(difference) - difference - 1
