"""A word to the other processes of a run that one of them was stopped, so that all of them end as stopped.

Whoever waits for the message of a process that was stopped finds out that it is gone, as it would of one that was
killed. Here it finds out why.
"""

import os
import signal
from threading import Event, Thread
from time import monotonic, sleep

import torch

_POLL = 0.2
"""Seconds between two looks for the word."""
_HEARD = 5.0
"""Seconds that whoever tells, or fails, waits for the others: the store may end with this process."""
_GRACE = (5.0, 10.0)
"""Seconds that a process is given to come upon the word by itself, and then to end in order."""


class StopNotice:
    """The word lies in the store where the processes met; a thread of each looks for it. Close it before leaving.

    Args:
        rank, processes: of this process, and how many there are.
        name: of this meeting, the same in all: processes may meet several times.
    """

    def __init__(self, rank: int, processes: int, name: str) -> None:
        self.rank, self.processes, self.name = rank, processes, name
        self.code: int | None = None
        """The exit code that a stopped process has told, or None."""
        place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
            *place, is_master=False, wait_for_workers=False
        )
        self._closed = Event()
        Thread(target=self._listen, name="motionrft stop notice", daemon=True).start()

    def tell(self, code: int) -> None:
        """Say that this process was stopped, and wait for a moment until the others have heard of it."""
        if self.code is not None:
            return
        self._closed.set()
        others = [self._heard(rank) for rank in range(self.processes) if rank != self.rank]
        self._set_and_see(self.name, str(code), others)

    def leave(self) -> None:
        """Say that this process has failed, and wait for a moment until the others have, as where all fail alike."""
        others = [self._left(rank) for rank in range(self.processes) if rank != self.rank]
        self._set_and_see(self._left(self.rank), "", others)

    def close(self) -> None:
        """Look no further."""
        self._closed.set()

    def _listen(self) -> None:
        try:
            while not self._store.check([self.name]):
                if self._closed.wait(_POLL):
                    return
            self.code = int(self._store.get(self.name))
            self._store.set(self._heard(self.rank), "")
        except RuntimeError:  # the store has gone: whoever kept it was killed, or all are done
            return
        # At its next message this process learns that the other is gone. A device's messages may not tell it.
        if not self._closed.wait(_GRACE[0]):
            os.kill(os.getpid(), signal.SIGTERM)
        if not self._closed.wait(_GRACE[1]):
            os._exit(self.code)

    def _set_and_see(self, name: str, value: str, answers: list[str]) -> None:
        """Put a word into the store, and wait for a moment until all of the answers are there."""
        until = monotonic() + _HEARD
        try:
            self._store.set(name, value)
            while not self._store.check(answers) and monotonic() < until:
                sleep(_POLL / 4)
        except RuntimeError:  # the store has gone with the process that kept it: there is nobody to tell
            return

    def _heard(self, rank: int) -> str:
        return f"{self.name}, heard by {rank}"

    def _left(self, rank: int) -> str:
        return f"{self.name}, left by {rank}"
