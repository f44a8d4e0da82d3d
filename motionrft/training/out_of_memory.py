"""Memory that ran out: what to say when nothing can be made smaller."""

from motionrft.errors import RunError


def does_not_fit(error: BaseException, advice: str) -> RunError:
    """The end of a run whose single item is too much: the allocator's own words, and the flags to try."""
    needed = str(error).partition("\n")[0] or type(error).__name__
    return RunError(f"Out of memory with a single item at a time ({needed}). Try {advice}.")
