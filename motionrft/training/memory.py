"""What a run holds: resident memory, the accelerator's peak, and the bytes autograd keeps for backward."""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

_STATM = Path("/proc/self/statm")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def accelerator_peaks() -> tuple[int, int] | None:
    """Most bytes that tensors took on the CUDA device in use, and that the allocator reserved for them; None without."""
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return None
    # Whoever calls from Python may have left another device the current one: the one in use is the one that holds most.
    devices = range(torch.cuda.device_count())
    return max(
        (torch.cuda.max_memory_allocated(each), torch.cuda.max_memory_reserved(each)) for each in devices
    )


class MemoryMeter:
    """Reads `rss_bytes` (resident now) and `peak_bytes`: with CUDA the allocated peak of the device, and its
    `reserved_bytes`, the reserved peak; else the most that was resident.
    """

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0

    def read(self) -> dict[str, int]:
        resident = self._resident()
        if (peaks := accelerator_peaks()) is not None:
            return {"rss_bytes": resident, "peak_bytes": peaks[0], "reserved_bytes": peaks[1]}
        # The system brings its own record up to date lazily.
        return {"rss_bytes": resident, "peak_bytes": max(_most_resident(), resident)}

    def _resident(self) -> int:
        """Bytes in memory now; where the system has no /proc, the most there ever were."""
        try:
            return int(_STATM.read_text().split()[1]) * self._page
        except OSError:
            return _most_resident()


def _most_resident() -> int:
    """Bytes; 0 where the system does not tell (Windows)."""
    try:
        resource = import_module("resource")
    except ImportError:
        return 0
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * _MAXRSS_UNIT


class GraphBytes:
    """Context that measures the most bytes autograd held for backward at one moment inside it.

    On the CPU every saved tensor passes a hook: distinct storages are counted while the graph keeps them,
    parameters and buffers of `frozen` modules are not (they are held anyway). On CUDA it is what the
    allocator holds above the level at entry, read at each `mark()` (call it right before backward) and at the
    end.

    What `torch.utils.checkpoint` recomputes does not pass the hooks: the figure is then what is held
    *between* forward and backward, without the recomputed segment.

    Example:
        with GraphBytes([denoiser, decoder, reward]) as graph:
            loss = ...
            graph.mark()
            loss.backward()
        graph.peak
    """

    def __init__(self, frozen: Iterable[nn.Module] = (), device: torch.device | str = "cpu") -> None:
        self.peak = 0
        """Bytes, the largest so far; a meter can be entered again and keeps it."""
        self._device = torch.device(device)
        self._excluded = {
            tensor.untyped_storage().data_ptr()
            for module in frozen
            for tensor in (*module.parameters(), *module.buffers())
        }
        self._held: dict[int, int] = {}
        self._bytes = 0
        self._level = 0
        self._hooks: saved_tensors_hooks | None = None

    def __enter__(self) -> "GraphBytes":
        if self._device.type == "cuda":
            self._level = torch.cuda.memory_allocated(self._device)
        else:
            self._hooks = saved_tensors_hooks(self._pack, _unpack)
            self._hooks.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._hooks is None:
            self.mark()
        else:
            self._hooks.__exit__(*exception)
            self._hooks = None

    def mark(self) -> None:
        """Read the CUDA allocator; nothing to do on the CPU, where every saved tensor is seen."""
        if self._device.type == "cuda":
            self.peak = max(self.peak, torch.cuda.memory_allocated(self._device) - self._level)

    @property
    def held(self) -> int:
        """Bytes held at this moment (CPU)."""
        return self._bytes

    def reset(self) -> None:
        """Start a new peak at what is held now."""
        self.peak = self._bytes

    def _pack(self, tensor: Tensor) -> "_Saved | Tensor":
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key in self._excluded or storage.nbytes() == 0:
            return tensor
        count = self._held.get(key, 0)
        self._held[key] = count + 1
        if count == 0:
            self._bytes += storage.nbytes()
            self.peak = max(self.peak, self._bytes)
        return _Saved(tensor, key, self)

    def _release(self, key: int, size: int) -> None:
        self._held[key] -= 1
        if self._held[key] == 0:
            del self._held[key]
            self._bytes -= size


class _Saved:
    """A saved tensor that tells its meter when the graph lets go of it.

    It is held without its place in the graph: a result that its own node saves would hold that node, and both would stay
    for ever where no backward comes. Autograd gives what is unpacked its place again.
    """

    __slots__ = ("key", "meter", "tensor")

    def __init__(self, tensor: Tensor, key: int, meter: GraphBytes) -> None:
        self.tensor, self.key, self.meter = tensor.detach(), key, meter

    def __del__(self) -> None:
        self.meter._release(self.key, self.tensor.untyped_storage().nbytes())


def _unpack(saved: "_Saved | Tensor") -> Tensor:
    return saved.tensor if isinstance(saved, _Saved) else saved
