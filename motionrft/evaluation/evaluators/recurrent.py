"""A bidirectional GRU over padded sequences, in any order, without packing.

Packed sequences want lengths on the host and in descending order. Reversing each sequence within its own
length by one gather gives the same states without either.
"""

import torch
from torch import Tensor, nn


class BidirectionalGRU(nn.Module):
    """Two GRUs, the second reading each sequence from its own end.

    Args:
        inputs, width: D in, H a direction.
        learned_start: an initial state a direction, (2, 1, H), instead of zeros.
    """

    def __init__(self, inputs: int, width: int, learned_start: bool = False):
        super().__init__()
        self.ahead = nn.GRU(inputs, width, batch_first=True)
        self.back = nn.GRU(inputs, width, batch_first=True)
        self.start = nn.Parameter(torch.zeros(2, 1, width)) if learned_start else None

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """States and final states of sequences.

        Args:
            x: (B, T, D). lengths: (B,) int64, at least 1.

        Returns:
            (B, T, 2H) states, meaningful within the lengths; (B, 2H) the last state of either direction.
        """
        turned = _reversed(lengths, x.shape[1])  # (B, T)
        starts = (
            (None, None)
            if self.start is None
            else self.start.expand(-1, x.shape[0], -1).contiguous().split(1)
        )
        ahead = self.ahead(x, starts[0])[0]  # (B, T, H)
        back = self.back(_gather(x, turned), starts[1])[0]  # (B, T, H)
        last = (lengths - 1)[:, None]  # (B, 1)
        final = torch.cat((_gather(ahead, last), _gather(back, last)), dim=-1)[:, 0]  # (B, 2H)
        return torch.cat((ahead, _gather(back, turned)), dim=-1), final  # (B, T, 2H), (B, 2H)


def _reversed(lengths: Tensor, steps: int) -> Tensor:
    """(B, T) positions: the sequence backwards, the padding left where it is."""
    position = torch.arange(steps, device=lengths.device)[None]  # (1, T)
    return torch.where(position < lengths[:, None], lengths[:, None] - 1 - position, position)  # (B, T)


def _gather(x: Tensor, positions: Tensor) -> Tensor:
    return x.gather(1, positions[..., None].expand(-1, -1, x.shape[-1]))  # (B, n, D)
