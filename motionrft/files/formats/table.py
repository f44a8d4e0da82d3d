"""Which format a file is of: the formats of `registry.FORMATS`, asked in order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.formats.base import MotionFormat, OpenedFile, WritingOptions, Written
from motionrft.files.recording import Motion
from motionrft.registry import FORMATS
from motionrft.training.atomic import atomic_file

_LAST = "arrays"
"""Bare arrays take every array file, so they are asked after all others."""


def motion_formats() -> tuple[MotionFormat, ...]:
    """Every format, in the order in which they are asked."""
    return tuple(format_named(name) for name in sorted(FORMATS.names(), key=lambda name: name == _LAST))


@cache
def _loaded(name: str) -> MotionFormat:
    found = FORMATS.load(name)
    made: MotionFormat = found() if isinstance(found, type) else found
    return made


def format_named(name: str) -> MotionFormat:
    """The format of that name.

    Raises:
        UserError: nobody has it.
    """
    return FORMATS.added[name][0] if name in FORMATS.added else _loaded(name)


def suffixes() -> tuple[str, ...]:
    """Every suffix that some format has."""
    return tuple(dict.fromkeys(suffix for each in motion_formats() for suffix in each.suffixes))


def format_of(file: OpenedFile) -> MotionFormat:
    """The format of a file.

    Raises:
        UserError: no format has its suffix, or none knows what is in it.
    """
    by_suffix = [each for each in motion_formats() if file.suffix in each.suffixes]
    if not by_suffix:
        raise UserError(f"{file.path}: not a motion file. Legal: {', '.join(suffixes())}.")
    found = next((each for each in by_suffix if each.recognises(file)), None)
    if found is None:
        known = ", ".join(each.name for each in by_suffix)
        raise UserError(f"{file.path}: not a motion file: it holds none of {known}.")
    return found


def is_motion_file(path: Path) -> bool:
    """Whether a file that lies in a folder is taken for a motion: by its suffix, shared ones by what they hold."""
    here = [each for each in motion_formats() if path.suffix.lower() in each.suffixes]
    if any(not each.shared for each in here):
        return True
    file = OpenedFile(path)
    return any(_knows(each, file) for each in here)


def _knows(form: MotionFormat, file: OpenedFile) -> bool:
    try:
        return form.recognises(file)
    except UserError:  # damaged, or of another kind: in a folder of other things it is no motion
        return False


def written_formats() -> Iterator[MotionFormat]:
    """The formats that are written."""
    return (each for each in motion_formats() if each.writes)


def ending_of(word: str) -> str:
    """The ending of a file that `--format` asks for with a word of `motionrft.files.words.file_words`."""
    return format_named(word).suffixes[0] if word in FORMATS else f".{word}"


def write_as(form: MotionFormat, path: Path, motion: Motion, options: WritingOptions) -> Written:
    """Write a motion whole or not at all, into a folder that is made; ours see to that themselves. Says how well.

    Raises:
        UserError: the format is only read, or the motion cannot be told in it.
    """
    if form.name in FORMATS.table:
        return form.write(path, motion, options) or Written()
    with atomic_file(path) as temporary:
        named = temporary.with_name(temporary.name + path.suffix)  # some writers go by the ending
        try:
            written = form.write(named, motion, options)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
    return written or Written()
