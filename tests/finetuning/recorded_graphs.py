"""CUDA graphs without CUDA: what is captured is recorded operator by operator, and replayed into the same tensors.

As on a device, a replay reads and writes fixed places alone, and a capture that asks for a number fails. Not seen:
streams, and memory that one capture lays over another's.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class RecordedGraph:
    """Stands in for `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, made in self.steps:
            again = tree_leaves(func(*args, **kwargs))
            given = {id(leaf) for leaf in tree_leaves((args, kwargs))}
            for place, value in zip(tree_leaves(made), again, strict=True):
                if isinstance(place, Tensor) and id(place) not in given and not func.is_view:
                    place.copy_(value)


class _Recorder(TorchDispatchMode):
    def __init__(self, graph: RecordedGraph, events: list[str]) -> None:
        super().__init__()
        self.graph, self.events = graph, events

    def __enter__(self) -> Any:
        self.events.append("capture")
        # What is quicker on a processor for asking it something is left out of compiled calls.
        self.unasking = mock.patch.object(torch.compiler, "is_compiling", lambda: True)
        self.unasking.__enter__()
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self.unasking.__exit__(*exception)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name == "aten::_local_scalar_dense":
            raise RuntimeError("a capture asked for a number")
        made = func(*args, **(kwargs or {}))
        self.graph.steps.append((func, args, kwargs or {}, made))
        return made


def record_graphs(patch: pytest.MonkeyPatch) -> list[str]:
    """Let captures be recorded here.

    Returns:
        What was asked of the device, in order: `wait`, `free` (workspaces), `capture`.
    """
    events: list[str] = []

    def capture(graph: RecordedGraph, **_: Any) -> AbstractContextManager[Any]:
        return _Recorder(graph, events)

    patch.setattr(torch.cuda, "CUDAGraph", RecordedGraph)
    patch.setattr(torch.cuda, "graph", capture)
    patch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    patch.setattr(torch.cuda, "Stream", lambda *_: None)
    patch.setattr(torch.cuda, "stream", lambda *_: nullcontext())
    patch.setattr(torch.cuda, "device", lambda *_: nullcontext())
    patch.setattr(torch.cuda, "synchronize", lambda *_: events.append("wait"))
    patch.setattr(torch.cuda, "empty_cache", lambda *_: None)
    patch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: events.append("free"), raising=False)
    return events
