"""Arithmetic wide enough that a metric's digits are the data's, not the rounding's."""

import torch
from torch import Tensor


def exact(x: Tensor) -> Tensor:
    """`x` in float64, on its own device; on the CPU where the device has no float64 (Apple's mps)."""
    return x.to("cpu" if x.device.type == "mps" else x.device, torch.float64)


def squared_distances(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances (..., N, M) float64 by a matrix product, and how far off each row's may be, (..., N, 1).

    Many times as fast as `distances`; equal motions may differ by rounding.
    """
    a, b = exact(a), exact(b)  # (..., N, D), (..., M, D)
    own, other = (
        a.square().sum(-1, keepdim=True),
        b.square().sum(-1)[..., None, :],
    )  # (..., N, 1), (..., 1, M)
    squares = (own + other).sub_(2 * a @ b.transpose(-1, -2))  # (..., N, M)
    # A sum of D products is off by at most D roundings of the sum of their sizes.
    return squares, 4 * a.shape[-1] * torch.finfo(a.dtype).eps * (own + other.amax(-1, keepdim=True))


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances between the rows of `a` (..., N, D) and `b` (..., M, D): (..., N, M) float64.

    Differences are formed directly. The usual |a|^2 + |b|^2 - 2ab in float32 is off by about 5e-3 near zero,
    gives NaN for equal rows, and breaks ties between equal motions by rounding.
    """
    return torch.cdist(exact(a), exact(b), compute_mode="donot_use_mm_for_euclid_dist")
