"""Memory that ran out: how to know it, and what to say when nothing can be made smaller."""

import torch

from motionrft.errors import RunError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def does_not_fit(error: BaseException, advice: str) -> RunError:
    """The end of a run whose single item is too much: the allocator's own words, and the flags to try."""
    needed = str(error).partition("\n")[0] or type(error).__name__
    return RunError(f"Out of memory with a single item at a time ({needed}). Try {advice}.")
