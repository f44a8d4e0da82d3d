"""A CUDA device of shapes alone: what the product asks of a device, and copies to it, seen without having one.

Inside `FakeDevice` tensors have shapes, types and devices but no numbers. Every operator passes one method, which notes
what makes the host wait (reading a number, a size that depends on numbers), copies from the host, float64 results and the
kernels of the forward pass, each with our lines that led there. Tensors of two devices in one operator fail as they
would on a GPU. Not seen: numbers, speed, memory, what backward does (leaves get zero gradients).
"""

import ctypes
import shutil
import subprocess
import tempfile
import traceback
import warnings
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_WAITS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "equal",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
}
_INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_"}
_OURS = "/motionrft/"

# A build of torch for the CPU alone has nobody who answers for CUDA devices, and autograd asks how many there are.
_ONE_DEVICE = """
#include <c10/core/impl/DeviceGuardImplInterface.h>
namespace {
struct OneDevice final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(CUDA, OneDevice)
}
"""
_registered: list[ctypes.CDLL] = []


class FakeDevice(TorchDispatchMode):
    """Context in which `cuda` is a device of shapes. Tables that read numbers are built before, and moved inside."""

    device = torch.device("cuda", 0)

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.doubles: Counter[str] = Counter()
        self.kernels: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget what was noted so far: the making of things may ask and copy."""
        for counter in (self.waits, self.copies, self.doubles, self.kernels):
            counter.clear()

    def __enter__(self) -> "FakeDevice":
        _register_device()
        self._stack = ExitStack()
        self._stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in ("synchronize", "empty_cache"):
            self._stack.enter_context(mock.patch.object(torch.cuda, name, lambda *_: None))
        for name in ("memory_allocated", "max_memory_allocated", "max_memory_reserved"):
            self._stack.enter_context(mock.patch.object(torch.cuda, name, lambda *_: 0))
        self._stack.enter_context(mock.patch.object(torch.nn.Module, "_apply", _replaced))
        self._stack.enter_context(mock.patch.object(Tensor, "backward", _zero_gradients))
        self._stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._stack.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        before = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_device = any(tensor.is_cuda for tensor in before)
        if on_device and (name in _WAITS or (name in _INDEXES and _by_mask(args[1]))):
            self.waits[f"{name} at {_place()}"] += 1
        if name == "_local_scalar_dense":
            return True if args[0].dtype == torch.bool else args[0].dtype.is_floating_point + 0.0 or 1
        after = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(after) if isinstance(leaf, Tensor)]
        if name in ("_to_copy", "copy_"):
            behind = (kwargs or {}).get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            self._note_move(args[1] if name == "copy_" else args[0], made[0], bool(behind))
        if (
            any(tensor.is_cuda for tensor in made)
            and not func.is_view
            and not name.startswith(("view", "empty"))
        ):
            self.kernels[name] += 1
            if any(tensor.dtype == torch.float64 and tensor.dim() for tensor in made):
                self.doubles[f"{name} at {_place()}"] += 1
        return after

    def _note_move(self, source: Tensor, target: Tensor, behind: bool) -> None:
        """A copy to the device that is queued behind its work (`behind`) keeps nobody waiting."""
        if source.is_cuda and not target.is_cuda:
            self.waits[f"copy to the host at {_place()}"] += 1
        elif target.is_cuda and not source.is_cuda and not behind:
            self.copies[f"copy to the device at {_place()}"] += 1


def _by_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _place() -> str:
    """The innermost lines of the product, outermost first."""
    frames = [
        f for f in traceback.extract_stack() if _OURS in f.filename and "site-packages" not in f.filename
    ]
    return " > ".join(f"{frame.filename.rpartition(_OURS)[2]}:{frame.lineno}" for frame in frames[-3:])


def _replaced(module: torch.nn.Module, move: Any, recurse: bool = True) -> torch.nn.Module:
    """`Module._apply` that puts new parameters in place of the old: a tensor of shapes cannot become one's data."""
    for child in module.children() if recurse else ():
        child._apply(move)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = torch.nn.Parameter(move(parameter.detach()), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        module._buffers[name] = None if buffer is None else move(buffer)
    return module


def _zero_gradients(loss: Tensor, *_: Any, **__: Any) -> None:
    """In the place of backward: zeros for every leaf that the graph of `loss` reaches."""
    waiting, seen = [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            leaf.grad = torch.zeros_like(leaf)
        waiting += [following for following, _ in node.next_functions]


def _register_device() -> None:
    if torch.backends.cuda.is_built() or _registered:
        return
    if shutil.which("c++") is None:
        pytest.skip("a torch without CUDA needs a C++ compiler for the fake device's guard")
    root = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "device.cpp"), Path(folder, "device.so")
        source.write_text(_ONE_DEVICE)
        places = (f"-I{root / 'include'}", f"-L{root / 'lib'}")
        subprocess.run(
            ["c++", "-std=c++20", "-shared", "-fPIC", *places, str(source), "-o", str(library), "-lc10"],
            check=True,
        )
        _registered.append(ctypes.CDLL(str(library)))
