"""One process per run folder: an advisory lock that the system drops when its owner dies, however it dies."""

import errno
import os
import socket
from importlib import import_module
from pathlib import Path
from typing import Any

from motionrft.errors import UserError

LOCK = ".lock"


def posix_locks() -> Any | None:
    """Python's `fcntl`, or None on a system without POSIX locks (Windows)."""
    try:
        return import_module("fcntl")
    except ImportError:
        return None


class FolderLock:
    """Held from `acquire` to `release`. A lock file left by a dead process is no obstacle.

    POSIX record locks, not `flock`: a data loader's worker that outlives a killed parent must not keep the
    folder. Where the system has no such locks nothing is refused, and `lost` says so.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._handle: int | None = None
        self._locks = posix_locks()

    @property
    def lost(self) -> str | None:
        """A sentence about what this system cannot do, or None."""
        if self._locks is not None:
            return None
        return f"{self.path.parent}: this system has no POSIX locks: start no second process in this folder."

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            UserError: another process holds it; names its host and process id.
        """
        if self._locks is None:
            return
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._locks.lockf(handle, self._locks.LOCK_EX | self._locks.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    break  # a file system without locks: nothing can be said about others, so nothing is refused
                owner = os.read(handle, 200).decode(errors="replace").strip() or "another process"
                os.close(handle)
                raise UserError(
                    f"{self.path.parent}: in use by {owner}. Wait for it, or name another --out."
                ) from None
            if self._still_there(handle):
                break
            os.close(handle)  # its last owner removed the file between our opening and our locking it
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._handle = handle

    def release(self) -> None:
        """Give the lock back and remove its file. Does nothing if it is not held."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _still_there(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        except FileNotFoundError:
            return False
