"""Models read as outlines: names, shapes and settings are there and checked, the numbers are not.

Inside `outlined()` every reader of weights, ours and official ones, gives tensors on torch's `meta` device. The same code
that loads a model then builds it in a moment and without its memory, and refuses the same files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from motionrft.training.described import without_storage

DEVICE = "meta"
"""Where an outline's tensors are; loaders are to be told so."""
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_WANTED: ContextVar[bool] = ContextVar("outlined", default=False)


@contextmanager
def outlined() -> Iterator[None]:
    """Context in which models are read as outlines. Nothing in it can be computed with."""
    token = _WANTED.set(True)
    try:
        with without_storage():
            yield
    finally:
        _WANTED.reset(token)


def outlining() -> bool:
    """Whether readers shall leave the numbers where they are."""
    return _WANTED.get()


def outline_of(path: Path) -> dict[str, Tensor]:
    """Names, shapes and types of a safetensors file's tensors; its header alone is read."""
    with safe_open(path, "pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return {
            name: torch.empty(part.get_shape(), dtype=_DTYPES[part.get_dtype()], device=DEVICE)
            for name, part in slices.items()
        }
