"""Where a command may write: decided before any compute, so that no hour's work ends at a closed door."""

import os
from pathlib import Path

from motionrft.errors import UserError


def check_output_folder(out: Path | None, resume: bool = False, overwrite: bool = False) -> Path:
    """The folder of `--out`: new, empty or, with --resume or --overwrite, in use. Creates nothing.

    Raises:
        UserError: missing flag, a file in the way, a folder in use, or no permission to write.
    """
    if out is None:
        raise UserError("--out DIR is missing: name the folder to write to")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not (resume or overwrite):
        raise UserError(
            f"--out {out}: exists and is not empty; add --resume or --overwrite, or name another folder"
        )
    if resume and not out.is_dir():
        raise UserError(f"--resume: there is no run in {out} to continue")
    _check_writable(out)
    return out


def check_writable_file(out: Path, overwrite: bool = False) -> None:
    """That a command may write the file of `--out`.

    Raises:
        UserError: it is a folder, it exists and --overwrite was not given, or there is no permission.
    """
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file")
    if out.exists() and not overwrite:
        raise UserError(f"--out {out}: exists; add --overwrite, or name another file")
    _check_writable(out)


def cleaned(folder: Path) -> Path:
    """The folder, without the half-written files that a killed process of this machine left directly in it."""
    from motionrft.training.atomic import clean_temporaries

    if folder.is_dir():
        clean_temporaries(folder)
    return folder


def check_writable_folder(out: Path) -> None:
    """That a command may write files into the folder, which may hold others already.

    Raises:
        UserError: a file is in the way, or there is no permission.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    _check_writable(out)


def _check_writable(path: Path) -> None:
    """Look at the path or the nearest folder above it that exists: that is where writing would begin."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() and nearest != path.absolute():
        raise UserError(f"--out {path}: {nearest} is a file, not a folder")
    if not os.access(nearest, os.W_OK | (os.X_OK if nearest.is_dir() else 0)):
        raise UserError(f"--out {path}: no permission to write in {nearest}")
