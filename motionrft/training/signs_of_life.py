"""Signs of life of the process that works while the others wait for it, so that no work is too long to be waited for.

A message that nobody answers within a time ends a run, for its sender may be gone. Whoever has the work sends a sign now
and then, and the others take one after the other until it is done.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY = 60.0
"""Seconds between two signs; a tenth of the time after which whoever waits gives up."""


@contextmanager
def giving_signs(send: Callable[[], None]) -> Iterator[None]:
    """Send a sign now and then while the block works.

    Args:
        send: raises `RuntimeError` where the others are gone, which this process's next message finds out.
    """
    ended = Event()

    def sign() -> None:
        try:
            while not ended.wait(EVERY):
                send()
        except RuntimeError:
            return

    thread = Thread(target=sign, name="motionrft signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
