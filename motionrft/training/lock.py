"""One process per run folder: an advisory lock that the system drops when its owner dies, however it dies."""

import errno
import fcntl
import os
import socket
from pathlib import Path

from motionrft.errors import UserError

LOCK = ".lock"


class FolderLock:
    """Held from `acquire` to `release`. A lock file left by a dead process is no obstacle.

    POSIX record locks, not `flock`: a data loader's worker that outlives a killed parent must not keep the
    folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            UserError: another process holds it; names its host and process id.
        """
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
