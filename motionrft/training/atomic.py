"""Writes that are whole or absent: a temporary name in the same folder, fsync, rename.

A process killed at any instant leaves either the old file or the new one, never half of one.
"""

import errno
import os
import re
import shutil
import socket
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from motionrft.errors import RunError, UserError
from motionrft.training.journal import note_written

TEMPORARY = ".tmp"
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_MARK_AT_END = re.compile(r"\.([0-9a-f]{8})-(\d+)-\d+\.tmp\Z")
"""What follows the name of a file or folder that is being written: host, process, thread. Only what carries the whole
mark is ever taken for a leftover: a user may have a `.tmp` or an `.old` of his own."""
_OLD = ".replaced-by-motionrft"
_ONE_BY_ONE = 1000
"""Files of a folder that are forced to the disk each by itself, which costs up to 50 ms a file; of more, everything is
forced there at once."""

_USERS_FAULT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def write_text(path: Path | str, text: str) -> None:
    """Replace the file at `path` by `text` (UTF-8) in one step."""
    write_bytes(path, text.encode())


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace the file at `path` by `data` in one step."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well it becomes `path`, otherwise it is gone.

    Raises:
        UserError: the place cannot be written (permission, read-only, a file where a folder should be).
        RunError: the disk is full or failing. What stood at `path` before still stands.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _settle(temporary)
        note_written(path)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        _discard(temporary)
        raise _explained(error, path) from error
    except BaseException:
        _discard(temporary)
        raise


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder to fill; when the block ends well it replaces what stood at `path`.

    A folder cannot be replaced in one step: the old one is moved aside first. A process killed between the
    two renames leaves it under another name, from which `recover_folder` brings it back.

    Raises: as `atomic_file`.
    """
    path = Path(path)
    temporary, old = temporary_path(path), path.with_name(path.name + _OLD)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recover_folder(path)
        clean_temporaries(path.parent, of=path.name)
        temporary.mkdir()
        yield temporary
        _settle_folder(temporary)
        note_written(path, [child for child in temporary.rglob("*") if child.is_file()], temporary)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
        _sync(path.parent)
        _remove(old)
    except OSError as error:
        _discard(temporary)
        recover_folder(path)
        raise _explained(error, path) from error
    except BaseException:
        _discard(temporary)
        recover_folder(path)
        raise


@contextmanager
def temporary_folder(beside: Path, number: int = 0) -> Iterator[Path]:
    """A hidden folder next to `beside` that is gone afterwards; what a killed process left of it goes first.

    Args:
        number: tells several folders of one process apart.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    hidden = beside.with_name(f".{beside.name}-{number}")
    clean_temporaries(beside.parent, of=hidden.name)
    folder = temporary_path(hidden)
    folder.mkdir()
    try:
        yield folder
    finally:
        _discard(folder)


def recover_folder(path: Path | str) -> None:
    """Finish what a killed `atomic_folder` began: put the old folder back if the new one never arrived."""
    path = Path(path)
    old = path.with_name(path.name + _OLD)
    if old.exists():
        if path.exists():
            _remove(old)
        else:
            os.replace(old, path)


def temporary_path(path: Path) -> Path:
    """A name beside `path` that no other writer uses, by which a later one knows what was left by a dead one."""
    # Two processes, or two threads of one, may fill one cache: each writes under a name of its own.
    return path.with_name(f"{path.name}.{_HOST}-{os.getpid()}-{threading.get_ident()}{TEMPORARY}")


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that was being written."""
    return _MARK_AT_END.search(name) is not None


def clean_temporaries(folder: Path, *, locked: bool = False, of: str | None = None) -> None:
    """Delete what killed writers left directly inside `folder`.

    Args:
        locked: we hold the folder's lock, so that nobody else writes there. Otherwise only what dead processes of this
            machine left is deleted.
        of: only leftovers of the file or folder of this name.
    """
    for child in folder.iterdir():
        mark = _MARK_AT_END.search(child.name)
        if mark is None or of not in (None, child.name[: mark.start()]):
            continue
        if locked or (mark[1] == _HOST and not _alive(int(mark[2]))):
            _remove(child)


def _alive(process: int) -> bool:
    """Whether a process is there. Windows ends a process that is asked so: there every one is taken to live."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _settle(path: Path, sync: bool = True) -> None:
    """Give a written file or folder its ordinary mode (safetensors leaves 0600) and force it to the disk."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())
    if sync:
        _sync(path)


def _settle_folder(folder: Path) -> None:
    """`_settle` for a folder and all below it."""
    children = [*folder.rglob("*"), folder]
    if len(children) <= _ONE_BY_ONE or sys.platform != "linux":  # elsewhere `sync` returns before it is done
        for child in children:
            _settle(child)
        return
    for child in children:
        _settle(child, sync=False)
    os.sync()


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folder, and a file there is synced only by who writes it
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _discard(temporary: Path) -> None:
    with suppress(OSError):
        _remove(temporary)


def _explained(error: OSError, path: Path) -> UserError | RunError:
    """The error a person should see: their mistake about the place, or a disk that gave up while writing."""
    reason = error.strerror or str(error)
    if error.errno in _USERS_FAULT:
        return UserError(f"{path}: cannot be written ({reason}). Name a place that can be written.")
    return RunError(
        f"{path}: writing failed ({reason}). What was saved before is untouched; free some space and go on."
    )
