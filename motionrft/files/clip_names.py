"""Names of clips: one path below a data set folder, one name a line in its split lists.

A name comes from a file that somebody else may have written, so it must not lead out of the data set: neither by `..`
or a leading slash, nor through a link.
"""

import os
from pathlib import Path, PurePosixPath

from motionrft.errors import UserError
from motionrft.parsing import filled_lines

_LONGEST = 200
"""Bytes of a file's name: 255 on usual disks, and writers add an ending of their own."""


def name_fault(clip: str) -> str | None:
    """Why a text cannot name a clip, or None."""
    if not clip or clip != clip.strip():
        return "is blank, or begins or ends with a blank"
    if any(ord(character) < 32 or ord(character) == 127 for character in clip):
        return "holds a line break or another control character"
    if any(len(os.fsencode(part)) > _LONGEST for part in clip.split("/")):
        return f"is longer than the {_LONGEST} bytes that a file's name can have here"
    path = PurePosixPath(clip)
    if not path.parts or path.is_absolute() or ".." in path.parts or str(path) != clip:
        return "is no path below the data set (no leading slash, no .. and no . in it)"
    return None


def read_names(path: Path) -> list[str]:
    """The clips of a split list, in order.

    Raises:
        UserError: the list cannot be read, a name leads out of the data set, or is there twice (its clip would count
            double); the line is named.
    """
    lines: dict[str, int] = {}
    for number, name in filled_lines(path):
        if (fault := name_fault(name)) is not None:
            raise UserError(f"{path}: line {number}: the clip name {_shown(name)} {fault}.")
        if lines.setdefault(name, number) != number:
            raise UserError(
                f"{path}: line {number}: the clip {_shown(name)} is in line {lines[name]} already, and would count "
                f"double. Take one of the two lines out."
            )
    return list(lines)


def clip_file(folder: Path, clip: str, suffix: str = ".npy") -> Path:
    """Where a clip lies in one of a data set's folders (`new_joints/`); it need not exist.

    Args:
        folder: may itself be a link, to a larger disk for example; inside it no link may lead out.

    Raises:
        UserError: the name, or a link on the way, leads out of the folder.
    """
    if (fault := name_fault(clip)) is not None:
        raise UserError(f"{folder}: the clip name {_shown(clip)} {fault}.")
    path = folder / f"{clip}{suffix}"
    # Resolving costs a look at every folder above: only what can be a link is resolved.
    if ("/" in clip or path.is_symlink()) and not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path}: a link that leads out of {folder}: refused. Copy the file there instead.")
    return path


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
