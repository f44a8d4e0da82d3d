"""Rotary positions (Su et al. 2021), in the two layouts that motion models use. Tables are constants, not weights."""

import torch
from torch import Tensor


def interleaved_rotary(positions: int, width: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (positions, width) each, for pairs of neighbouring channels (2i, 2i + 1)."""
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)  # (width / 2,)
    angles = (torch.arange(positions, dtype=torch.float32)[:, None] * frequencies).repeat_interleave(2, dim=1)
    return angles.cos(), angles.sin()


def rotate_pairs(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate neighbouring channels of (..., N, width) by the tables' rows (N, width)."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)  # (..., N, width / 2) each
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)  # (..., N, width)
    return x * cosine.to(x.dtype) + turned * sine.to(x.dtype)  # (..., N, width)


def halved_rotary(positions: int, width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (positions, width) each, for pairs (i, i + width / 2); exponents from 0 to 1, both included."""
    exponents = torch.linspace(0, 1, width // 2)  # (width / 2,)
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * base**-exponents
    return torch.cat([angles, angles], dim=1).cos(), torch.cat([angles, angles], dim=1).sin()


def rotate_halves(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate channel i of (..., N, width) with channel i + width / 2."""
    first, second = x.chunk(2, dim=-1)  # (..., N, width / 2) each
    return x * cosine.to(x.dtype) + torch.cat([-second, first], dim=-1) * sine.to(x.dtype)  # (..., N, width)
