"""Metrics that may still be on the device: read together, in one copy, and not one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def waiting(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any number is still on a device that would have to be waited for."""
    return any(isinstance(v, Tensor) and v.device.type != "cpu" for line in lines for v in line.values())


def read(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Metrics with a plain number in the place of every () tensor: a float, or an int for a tensor of whole numbers.

    Each device is asked once, in float32: whole numbers are exact up to 2 ** 24.
    """
    by_place: dict[torch.device, list[Tensor]] = {}
    for line in lines:
        for value in line.values():
            if isinstance(value, Tensor):
                by_place.setdefault(value.device, []).append(value)
    numbers: dict[int, float | int] = {}
    for values in by_place.values():
        found = torch.stack([value.detach().float().reshape(()) for value in values]).tolist()
        for value, number in zip(values, found, strict=True):
            numbers[id(value)] = number if value.dtype.is_floating_point else int(number)
    return [
        {name: numbers[id(value)] if isinstance(value, Tensor) else value for name, value in line.items()}
        for line in lines
    ]
