"""Diagonal Gaussians: what MotionReward's encoders return."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """mean and log_variance, both (B, L)."""

    mean: Tensor  # (B, L)
    log_variance: Tensor  # (B, L)

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """mean + std * noise, (B, L); standard normal noise is drawn where none is given."""
        noise = torch.randn_like(self.mean) if noise is None else noise  # (B, L)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise  # (B, L)

    def index(self, items: Tensor) -> "Gaussian":
        return Gaussian(self.mean[items], self.log_variance[items])  # (n, L) each

    def prior(self) -> "Gaussian":
        """The standard normal of the same shape."""
        return Gaussian(torch.zeros_like(self.mean), torch.zeros_like(self.log_variance))


def divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p), the *mean* over batch and dimensions (not the sum over dimensions), ()."""
    log_ratio = q.log_variance - p.log_variance  # (B, L)
    distance = (q.mean - p.mean).square() * torch.exp(-p.log_variance)  # (B, L)
    return 0.5 * (log_ratio.exp() + distance - 1.0 - log_ratio).mean()
