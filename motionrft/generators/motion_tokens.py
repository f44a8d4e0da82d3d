"""Motions as tokens: codes of a codebook, a few frames each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MotionTokens:
    """A batch of token rows.

    codes: (B, N) int64 in 0…K-1, zero beyond each row's own. counts: (B,) int64 tokens of each row.
    """

    codes: Tensor
    counts: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | Tensor]) -> "MotionTokens":
        """Rows of any lengths, padded."""
        tensors = [torch.as_tensor(row, dtype=torch.long) for row in rows]
        counts = torch.tensor([len(row) for row in tensors])
        codes = torch.zeros(len(tensors), int(counts.max()), dtype=torch.long)  # (B, N)
        for place, row in zip(codes, tensors, strict=True):
            place[: len(row)] = row
        return cls(codes, counts)

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def mask(self) -> Tensor:
        """(B, N) bool, True where there is a token."""
        return torch.arange(self.codes.shape[1], device=self.codes.device) < self.counts[:, None]

    def rows(self) -> list[Tensor]:
        """(n,) of each row."""
        return [row[:count] for row, count in zip(self.codes, self.counts.tolist(), strict=True)]

    def index(self, items: Tensor) -> "MotionTokens":
        return MotionTokens(self.codes[items], self.counts[items])

    def to(self, device: torch.device | str) -> "MotionTokens":
        return MotionTokens(self.codes.to(device), self.counts.to(device))


@dataclass(frozen=True)
class TokenScores:
    """Log-probabilities of written motions, nats, token by token.

    each: (B, M), zero where `mask` is False. mask: (B, M) bool; the tokens that end (or open) a motion count too.
    """

    each: Tensor
    mask: Tensor

    @property
    def sums(self) -> Tensor:
        """(B,)"""
        return self.each.sum(-1)

    @property
    def counts(self) -> Tensor:
        """(B,) int64"""
        return self.mask.sum(-1)

    @property
    def means(self) -> Tensor:
        """(B,) a token."""
        return self.sums / self.counts
