"""Clean states: what the second stage learns to denoise, drawn by item."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.data.motions import Motions
from motionrft.generators.base import Generator
from motionrft.moving import moved


class States(Protocol):
    """The clean states of a split, or of its mirror image."""

    def draw(self, items: Tensor, draws: torch.Generator, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """States of the items (B,) on the generator's device.

        Args:
            draws: for states that are themselves drawn (from a posterior).
            rows: of the items whose states are wanted; they are as large, and drawn, as among all.

        Returns:
            (b, ...) in the scale that the denoiser sees, zero or noise beyond each item's own size; and (B,) frames, of
            all items.
        """

    def expect(self, items: Tensor) -> None:
        """Begin to read these items (B,), which are drawn next, where they are on a disk."""


@dataclass(frozen=True)
class Frames:
    """States of a generator that denoises the frames themselves: normalised when drawn, not kept."""

    generator: Generator
    motions: Motions
    mirrored: bool = False

    @torch.no_grad()
    def draw(self, items: Tensor, draws: torch.Generator, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        clips = [self.motions.motion(item, self.mirrored) for item in items[rows].tolist()]
        lengths = self.motions.lengths[items]  # (B,)
        motion = pad(clips, longest=int(lengths.max()))[0]  # (b, T, D)
        motion, lengths = moved(motion, self.generator.device), moved(lengths, self.generator.device)
        return self.generator.encode(motion, lengths[rows]), lengths  # (b, ...), (B,)

    def expect(self, items: Tensor) -> None:
        self.motions.expect(items)


@dataclass(frozen=True)
class Splits:
    """What the second stage reads: the training clips, their mirror images unless that is off, the validation clips."""

    train: tuple[States, ...]
    validation: States


def stack_padded(states: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """(B, *shape) of states of unequal sizes, zeros behind each along every axis."""
    stacked = torch.zeros(len(states), *shape)  # (B, ...)
    for row, state in zip(stacked, states, strict=True):
        row[tuple(slice(size) for size in state.shape)] = state
    return stacked
