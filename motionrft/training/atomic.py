"""Writes that are whole or absent: a temporary name in the same folder, fsync, rename.

A process killed at any instant leaves either the old file or the new one, never half of one.
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from motionrft.errors import RunError, UserError

TEMPORARY = ".tmp"
"""Suffix of what is being written. Whatever carries it may be deleted."""
_OLD = ".old"

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
    # Two processes may fill one cache: each writes under a name of its own.
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _settle(temporary)
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
    two renames leaves it as `NAME.old`, which `recover_folder` puts back.

    Raises: as `atomic_file`.
    """
    path = Path(path)
    temporary, old = path.with_name(path.name + TEMPORARY), path.with_name(path.name + _OLD)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recover_folder(path)
        _remove(temporary)
        temporary.mkdir()
        yield temporary
        for child in [*temporary.rglob("*"), temporary]:
            _settle(child)
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


def recover_folder(path: Path | str) -> None:
    """Finish what a killed `atomic_folder` began: put the old folder back if the new one never arrived."""
    path = Path(path)
    old = path.with_name(path.name + _OLD)
    if old.exists():
        if path.exists():
            _remove(old)
        else:
            os.replace(old, path)


def clean_temporaries(folder: Path) -> None:
    """Delete what killed writers left directly inside `folder`. Only for a folder whose lock we hold."""
    for child in folder.iterdir():
        if child.name.endswith(TEMPORARY):
            _remove(child)


def _settle(path: Path) -> None:
    """Give a written file or folder its ordinary mode (safetensors leaves 0600) and force it to the disk."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
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
