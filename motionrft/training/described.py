"""Networks built to be looked at: names, shapes and settings without storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def without_storage() -> Iterator[None]:
    """What is built inside has its tensors on the meta device, and no initial values.

    Random numbers on that device are decomposed in Python, for which torch imports its compiler and sympy: as long again
    as torch itself.
    """
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if getattr(func, "__name__", None) == "linspace":
            # While transformers loads a model it puts a linspace of its own there. If that is when torch first lists what
            # a device mode applies to, its own linspace is not on the list, and makes tensors on the host for good.
            named.setdefault("device", "meta")
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else named["tensor"]
        return (torch.empty if func in (torch.randn, torch.rand) else func)(*args, **named)
