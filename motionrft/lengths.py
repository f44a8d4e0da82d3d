"""Lengths and the masks made from them, in one place."""

import torch
from torch import Tensor


def length_mask(lengths: Tensor, frames: int) -> Tensor:
    """Which frames of a padded batch are real.

    Args:
        lengths: (B,) int64, valid frames of each item.
        frames: T, the padded number of frames.

    Returns:
        (B, T) bool, True where the frame belongs to the item.
    """
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]  # (B, T)


def zero_padding(motion: Tensor, lengths: Tensor) -> Tensor:
    """Set the frames beyond each item's length to exactly zero; `motion` is (B, T, ...)."""
    mask = length_mask(lengths, motion.shape[1])  # (B, T)
    # Filled, not multiplied: padding may hold NaN.
    return motion.masked_fill(~mask.reshape(*mask.shape, *(1,) * (motion.dim() - 2)), 0)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B,) each item's mean over its valid numbers.

    Args:
        values: (B, ...).
        mask: broadcastable to `values`, True where a number counts; None counts all.
    """
    if mask is None:
        return values.flatten(1).mean(1)  # (B,)
    weight = mask.to(values.dtype).expand_as(values)  # (B, ...)
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)  # (B,)
