"""Reading ahead: while one step is computed, a thread reads what the next one will ask for."""

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class ReadAhead(Generic[K]):
    """A thread that calls `read` for what is expected to be asked for soon, so that it lies in memory then.

    Whoever asks gets the same whether it was read ahead or not. What goes wrong in the thread goes wrong again, and is
    told, when it is asked for.

    Args:
        read: puts its result where the caller finds it, such as into a `Recent`; is called in the thread.
    """

    def __init__(self, read: Callable[[K], object]) -> None:
        self._read = read
        self._thread: ThreadPoolExecutor | None = None
        self._coming: Future[None] | None = None

    def expect(self, wanted: Iterable[K]) -> None:
        """Begin to read; nothing, where the thread is still behind with what was expected before."""
        if self._coming is not None and not self._coming.done():
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._coming = self._thread.submit(self._all, list(wanted))

    def wait(self) -> None:
        """Until what was expected last has been read."""
        if self._coming is not None:
            self._coming.exception()

    def _all(self, wanted: list[K]) -> None:
        for each in wanted:
            self._read(each)
