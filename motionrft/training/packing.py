"""Many tensors in few messages: one for each costs as much as its way, one for all as much memory as all again."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

AT_ONCE = 2**24
"""Numbers that a message holds, 64 MiB of float32; of a larger tensor all."""


def packed(tensors: Sequence[Tensor]) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Consecutive tensors, and a copy of their numbers (N,), `AT_ONCE` of them at most but for a single tensor."""
    part: list[Tensor] = []
    count = 0
    for tensor in tensors:
        if part and count + tensor.numel() > AT_ONCE:
            yield part, _flat(part)
            part, count = [], 0
        part.append(tensor)
        count += tensor.numel()
    if part:
        yield part, _flat(part)


def unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Copy the numbers of a message (N,) into the tensors it was made of, N numbers in all."""
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
