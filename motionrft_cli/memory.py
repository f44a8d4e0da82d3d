"""How much memory this process uses, in a few words for the progress line."""

import os
import sys

MIB, GIB = 2**20, 2**30


def resident_bytes() -> int | None:
    """Resident set size of this process; None where the system does not tell (no /proc)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def gpu_words(allocated: int, reserved: int) -> str:
    """Both peaks of a device, in bytes, as `GPU 4.10 GiB peak, 5.00 reserved`."""
    return f"GPU {allocated / GIB:.2f} GiB peak, {reserved / GIB:.2f} reserved"


def memory_line() -> str:
    """`RSS 812 MiB`, or the peaks of the CUDA device in use; never the one to import torch."""
    if "torch" in sys.modules:
        from motionrft.training.memory import accelerator_peaks

        if (peaks := accelerator_peaks()) is not None:
            return gpu_words(*peaks)
    resident = resident_bytes()
    return "" if resident is None else f"RSS {resident / MIB:.0f} MiB"
