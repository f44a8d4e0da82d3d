"""Initial noise item by item, so that no item's depends on its batch."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from motionrft.moving import moved


class Shaped(Protocol):
    """A diffusion generator, as far as noise is concerned."""

    def noise_shape(self, lengths: Tensor) -> tuple[int, ...]:
        """Shape of the initial noise of a batch of (B,) frames, (B, ...)."""


class ItemNoise:
    """Standard normal noise of a batch, each item from its own random generator and in its own shape.

    Numbers are drawn on the CPU and moved, so every device starts from the same noise.

    Args:
        lengths: (B,) frames, on the CPU.
        seeds: one an item.
    """

    def __init__(self, states: Shaped, lengths: Tensor, seeds: Sequence[int], device: torch.device):
        self.shape = states.noise_shape(lengths)
        self.item_shapes = [states.noise_shape(length[None])[1:] for length in lengths]
        self.randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def draw(self, number: int = 0) -> Tensor:
        """The next draw, (B, ...), whatever its number; zero where an item's own shape is smaller than the
        batch's.
        """
        noise = torch.zeros(self.shape)
        for row, shape, random in zip(noise, self.item_shapes, self.randoms, strict=True):
            row[tuple(slice(size) for size in shape)] = torch.randn(shape, generator=random)
        return moved(noise, self.device)
