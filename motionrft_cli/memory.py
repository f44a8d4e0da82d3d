"""How much memory this process uses right now, in a few words for the progress line."""

import os
import sys

MIB = 2**20


def resident_bytes() -> int | None:
    """Resident set size of this process; None where the system does not tell (no /proc)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def memory_line() -> str:
    """`RSS 812 MiB`, and on CUDA `GPU 310 MiB (peak 420)`; never the one to import torch."""
    resident = resident_bytes()
    parts = [] if resident is None else [f"RSS {resident / MIB:.0f} MiB"]
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        parts.append(
            f"GPU {cuda.memory_allocated() / MIB:.0f} MiB (peak {cuda.max_memory_allocated() / MIB:.0f})"
        )
    return ", ".join(parts)
