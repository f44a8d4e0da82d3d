"""FID, Diversity and MultiModality: what a set of motions looks like, whatever the texts said."""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.evaluation.metrics.exact import exact


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian fitted to embeddings, held as a factor of its covariance.

    mean: (D,) float64. factor: (R, D) float64 with factor^T factor = covariance, R <= D. count: items it was
        fitted to.
    """

    mean: Tensor
    factor: Tensor
    count: int

    @classmethod
    def fit(cls, embeddings: Tensor) -> "Gaussian":
        """Mean and covariance (denominator N - 1) of `embeddings` (N, D), N >= 2."""
        x = exact(embeddings)  # (N, D)
        mean = x.mean(dim=0)  # (D,)
        centred = (x - mean) / (x.shape[0] - 1) ** 0.5  # (N, D)
        # The triangle of a QR has the covariance of all rows in at most D of them.
        factor = torch.linalg.qr(centred, mode="r")[1] if x.shape[0] > x.shape[1] else centred  # (R, D)
        return cls(mean, factor, x.shape[0])

    def to(self, device: torch.device | str) -> "Gaussian":
        """The same on another device."""
        return Gaussian(self.mean.to(device), self.factor.to(device), self.count)

    @property
    def covariance(self) -> Tensor:
        return self.factor.T @ self.factor  # (D, D)

    @property
    def singular(self) -> bool:
        """Fewer items than dimensions: the covariance has no full rank and FID says little."""
        return self.count <= self.mean.shape[0]


def frechet_distance(a: Gaussian, b: Gaussian) -> Tensor:
    """FID: |mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)), () float64 (Heusel et al. 2017, Eq. 6).

    With C = F^T F the trace of the root is the sum of singular values of F_a F_b^T. No matrix root is taken
    and no small eigenvalue is rooted, so singular covariances need no added diagonal and the distance of a
    set to itself is 0 to about 1e-12, where the usual `sqrtm` is off by 1e-6.
    """
    root = torch.linalg.svdvals(a.factor @ b.factor.T).sum()
    spread = a.factor.square().sum() + b.factor.square().sum() - 2 * root
    return (a.mean - b.mean).square().sum() + spread


def draw_pairs(count: int, pairs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two index sets (pairs,), each without replacement, independent of each other (a pair may coincide)."""
    first = torch.randperm(count, generator=generator)[:pairs]  # (pairs,)
    return first, torch.randperm(count, generator=generator)[:pairs]


def diversity(embeddings: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean distance of paired items of (N, D) embeddings, () float64. Closer to real data's value is
    better."""
    x = exact(embeddings)  # (N, D)
    return (x[first.to(x.device)] - x[second.to(x.device)]).norm(dim=-1).mean()


def multimodality(embeddings: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean distance between generations of one text: `embeddings` (P, R, D), the same pairs for all P
    texts."""
    x = exact(embeddings)  # (P, R, D)
    return (x[:, first.to(x.device)] - x[:, second.to(x.device)]).norm(dim=-1).mean()
