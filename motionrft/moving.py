"""From the host to a device without waiting for it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; a copy to CUDA starts from pinned memory, behind the work already queued.

    A copy from ordinary memory waits until the device has done all that was queued before it.
    """
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return (tensor.pin_memory() if torch.cuda.is_available() else tensor).to(device, non_blocking=True)


def chosen(tensor: Tensor, places: Sequence[int], dim: int) -> Tensor:
    """`tensor` at `places` of an axis, as indexing with the list gives; that copies the list to the device, and waits."""
    apart = tensor.unbind(dim)
    return torch.stack([apart[place] for place in places], dim)
