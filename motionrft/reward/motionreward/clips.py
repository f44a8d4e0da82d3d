"""Clips in every representation at once: the material of preference and authenticity."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data import pad
from motionrft.representations.convert import convert, converted_lengths

Clip = dict[str, Tensor]
"""Representation to (T, F), de-normalised; joints flat."""

_AT_ONCE = 32


@dataclass(frozen=True)
class Pair:
    """Two clips of which the first is better, and why: the kind of fault, or who said so."""

    better: Clip
    worse: Clip
    kind: str


def clips_of(
    motions: Sequence[Tensor],
    source: str,
    representations: Sequence[str],
    target_offsets: Tensor | None = None,
) -> list[Clip]:
    """Convert motions (T, F) of one representation into several, batched by length.

    Args:
        target_offsets: (J, 3), the skeleton that kinematic features of joints are of; KIT-ML's is not public.
    """
    found: list[Clip] = [{} for _ in motions]
    order = sorted(range(len(motions)), key=lambda number: len(motions[number]))
    for start in range(0, len(order), _AT_ONCE):
        items = order[start : start + _AT_ONCE]
        batch, lengths = pad([motions[item].flatten(1) for item in items])  # (B, T, F), (B,)
        for name in representations:
            converted = convert(batch, source, name, lengths, target_offsets=target_offsets).flatten(2)
            counts = converted_lengths(lengths, source, name)  # (B,)
            for row, item in enumerate(items):
                found[item][name] = converted[row, : int(counts[row])].clone()
    return found


def batch_of(clips: Sequence[Clip], representation: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Padded (B, T, F) and lengths (B,) of clips in one representation."""
    motion, lengths = pad([clip[representation] for clip in clips])
    return motion.to(device), lengths.to(device)  # (B, T, F), (B,)
