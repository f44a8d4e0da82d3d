"""What Kimodo's features are normalised with, in three parts, and the bridge that the third of them serves.

normalised = (x - mean) / sqrt(std^2 + 1e-5). The body stage does not read the root as the root stage says it, in the
world, but as velocities in the world and height: that way is the bridge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from motionrft.representations.kimodo.features import ROOT
from motionrft.representations.kimodo.skeletons import FPS

_SMALLEST = 1e-5
"""Added to the variance."""
LOCAL = 4
"""Numbers of the local root: turning velocity, x and z velocity, height."""
_NO_HEADING = 1e-12
"""Square of a heading vector's length below which its angle has no gradient."""


class PartStatistics(NamedTuple):
    """mean, std: (D,) of one part of the features."""

    mean: Tensor
    std: Tensor

    @property
    def scale(self) -> Tensor:
        """(D,) what values are divided by."""
        return (self.std.square() + _SMALLEST).sqrt()

    def normalise(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale

    def denormalise(self, x: Tensor) -> Tensor:
        return x * self.scale + self.mean


@dataclass(frozen=True)
class KimodoStatistics:
    """Of the root in the world (5), the local root (4), and the body (12 J + 4)."""

    root: PartStatistics
    local: PartStatistics
    body: PartStatistics

    @property
    def whole(self) -> PartStatistics:
        """Of all features, (12 J + 9)."""
        return PartStatistics(*(torch.cat(pair) for pair in zip(self.root, self.body, strict=True)))

    def normalise(self, features: Tensor) -> Tensor:
        """(..., 12 J + 9)"""
        return self.whole.normalise(features)

    def denormalise(self, features: Tensor) -> Tensor:
        """(..., 12 J + 9)"""
        return self.whole.denormalise(features)

    def local_root_of(self, root: Tensor, lengths: Tensor) -> Tensor:
        """The bridge: normalised root (B, T, 5) to the normalised local root (B, T, 4), in float32, differentiable."""
        with torch.autocast(root.device.type, enabled=False):
            plain = self.root.denormalise(root if root.dtype == torch.float64 else root.float())
            return self.local.normalise(local_root(plain, lengths))


def local_root(root: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, 4) turning velocity, x and z velocity, height, of the root part (B, T, 5), T at least 2.

    Forward differences; the last frame of each length repeats the one before.
    """
    cos, sin = root[..., 3], root[..., 4]
    tiny = cos.square() + sin.square() < _NO_HEADING
    angle = torch.atan2(torch.where(tiny, torch.zeros_like(sin), sin), torch.where(tiny, 1.0, cos))
    turned = angle.diff(dim=1)
    turned = torch.atan2(turned.sin(), turned.cos())  # the short way round
    moved = (
        torch.stack((turned, root[..., 0].diff(dim=1), root[..., 2].diff(dim=1)), dim=-1) * FPS
    )  # (B, T - 1, 3)
    moved = torch.cat((moved, moved[:, -1:]), dim=1)
    frames = torch.arange(root.shape[1], device=root.device)
    last = (lengths[:, None] - 2).clamp(min=0)
    taken = torch.minimum(frames, last)[..., None].expand(-1, -1, 3)
    return torch.cat((moved.gather(1, taken), root[..., 1:2]), dim=-1)


def evened(mean: Tensor, std: Tensor, pairs: Iterable[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Mean and std (D,) after each pair of features was turned in its plane by an even angle: both have one std and
    mean 0.
    """
    mean, std = mean.clone(), std.clone()
    for pair in map(list, pairs):
        std[pair] = (mean[pair].square() + std[pair].square()).mean().sqrt()
        mean[pair] = 0
    return mean, std


def turned_any_way(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std (12 J + 9) of features after every motion was turned to a heading drawn evenly."""
    vectors = range(ROOT, len(mean) - 4, 3)
    return evened(mean, std, ((0, 2), (3, 4), *((start, start + 2) for start in vectors)))
