"""HY-Motion's smoothing for display. Not differentiable on purpose: never apply it before a reward."""

import torch
from scipy.signal import savgol_filter
from torch import Tensor

from motionrft.rotations import matrix_to_quaternion, quaternion_to_sixd, sixd_to_matrix

SIGMA, RADIUS = 1.0, 4
WINDOW, ORDER = 11, 5


@torch.no_grad()
def smooth_for_display(rotation: Tensor) -> Tensor:
    """A smoother look for one batch of motions of equal length.

    Args:
        rotation: (B, T, 135), translation and 22 interleaved 6D rotations; T at least 11.

    Returns:
        (B, T, 135).

    Raises:
        ValueError: fewer frames than the translation filter's window.
    """
    if rotation.shape[1] < WINDOW:
        raise ValueError(f"{rotation.shape[1]} frames: smoothing needs at least {WINDOW}")
    places, sixd = rotation[..., :3], rotation[..., 3:].unflatten(-1, (-1, 6))
    return torch.cat([smooth_translation(places), smooth_rotations(sixd).flatten(2)], dim=-1)


def smooth_translation(places: Tensor) -> Tensor:
    """Savitzky-Golay over the frames of (B, T, 3); ends by the polynomial of the last whole window."""
    smoothed = savgol_filter(places.cpu().numpy(), WINDOW, ORDER, axis=1)
    return torch.from_numpy(smoothed).to(places)


def smooth_rotations(sixd: Tensor) -> Tensor:
    """Weighted mean rotation over a Gaussian window, (B, T, J, 6) interleaved; edge frames are repeated.

    The mean is that of Markley et al. (2007): the eigenvector of the largest eigenvalue of sum w q q^T, which does not
    care about the signs of the quaternions.
    """
    quaternions = matrix_to_quaternion(sixd_to_matrix(sixd, "interleaved")).double()
    outer = quaternions[..., :, None] * quaternions[..., None, :]  # (B, T, J, 4, 4)
    edges = [outer[:, :1].expand(-1, RADIUS, -1, -1, -1), outer, outer[:, -1:].expand(-1, RADIUS, -1, -1, -1)]
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=sixd.device, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    blurred = (torch.cat(edges, dim=1).unfold(1, 2 * RADIUS + 1, 1) * weights).sum(-1)
    mean = torch.linalg.eigh(blurred).eigenvectors[..., -1]
    return quaternion_to_sixd(mean.to(sixd.dtype), "interleaved")
