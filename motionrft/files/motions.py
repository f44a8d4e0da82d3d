"""Motions in files: finding them, reading them whatever the format, and going on after a bad one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.checks import doubtful
from motionrft.files.formats.base import FileFault, OpenedFile
from motionrft.files.formats.table import (
    format_named,
    format_of,
    is_motion_file,
    motion_formats,
    suffixes,
)
from motionrft.files.joint_maps import JointMap
from motionrft.files.placing import motions_of
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion, Recording
from motionrft.files.words import ARRAYS
from motionrft.parsing import parsing

__all__ = [
    "FileFault",
    "Motion",
    "doubt",
    "iterate_motions",
    "motion_files",
    "own_names",
    "read_motions",
    "stream_motions",
]


def motion_files(inputs: Iterable[Path | str], batch: bool = False) -> list[Path]:
    """The motion files that the inputs stand for: a folder means every motion file below it, sorted.

    Args:
        batch: an empty folder among others stays as it is, and costs itself alone when it is read.

    Raises:
        UserError: a folder holds no motion. Files that do not exist are told when they are read.
    """
    files: list[Path] = []
    for item in map(Path, inputs):
        if item.is_dir():
            known = suffixes()
            below = sorted(
                path
                for path in item.rglob("*")
                if path.suffix.lower() in known and path.is_file() and is_motion_file(path)
            )
            if not below and not batch:
                raise UserError(_nothing_below(item))
            files.extend(below or [item])
        else:
            files.append(item)
    return files


def _nothing_below(folder: Path) -> str:
    return f"{folder}: no motion file below it ({', '.join(suffixes())})."


def own_names(path: Path) -> Sequence[str]:
    """What a file calls its motions; nothing for files that name none, or are damaged, which reading tells."""
    naming = [
        each for each in motion_formats() if each.names_motions and path.suffix.lower() in each.suffixes
    ]
    if not naming or not path.is_file():
        return ()
    file = OpenedFile(path)
    try:
        found = format_of(file)
        return found.names(file) if found in naming else ()
    except UserError:
        return ()


def arrays_at_their_rate(path: Path, options: ReadingOptions) -> ReadingOptions:
    """The options for a file whose joints are wanted at a rate: skeletons are brought to it as they are read, arrays by
    whoever asks. Features of some data sets cannot be resampled, their joints can."""
    arrays = path.suffix.lower() in format_named(ARRAYS).suffixes
    return replace(options, fps=None) if arrays else options


def iterate_motions(
    paths: Iterable[Path | str],
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
    options: ReadingOptions | None = None,
) -> Iterator[Motion | FileFault]:
    """Motions in order, one read at a time; a bad file (or a bad motion of a batch) yields a `FileFault`.

    `paths` are files, see `motion_files`; the other arguments are those of `read_motions`.
    """
    reading = _options(representation, fps, joint_map, options)
    for path in map(Path, paths):
        yield from stream_motions(path, reading)


def read_motions(
    path: Path | str,
    representation: str | None = None,
    fps: float | None = None,
    joint_map: JointMap | None = None,
    options: ReadingOptions | None = None,
) -> list[Motion]:
    """Every motion in a file, in metres and Y up.

    Args:
        representation: what the file holds, by name or alias; recognised from the shape if None. BVH holds joints.
        fps: the rate that is wanted; a motion of another rate is resampled. None keeps each motion's own.
        joint_map: for skeletons, which joint is which; recognised if None.
        options: everything else that a reader can be told; the arguments before go before its fields.

    Raises:
        UserError: the file is missing, damaged, of an unknown shape, or holds NaN; names file and frame.
    """
    motions = []
    for found in stream_motions(Path(path), _options(representation, fps, joint_map, options)):
        if isinstance(found, FileFault):
            raise UserError(found.message)
        motions.append(found)
    return motions


def _options(
    representation: str | None, fps: float | None, joint_map: JointMap | None, options: ReadingOptions | None
) -> ReadingOptions:
    given = options or ReadingOptions()
    return replace(
        given,
        representation=given.representation if representation is None else representation,
        fps=given.fps if fps is None else fps,
        joint_map=given.joint_map if joint_map is None else joint_map,
    )


def stream_motions(path: Path, options: ReadingOptions) -> Iterator[Motion | FileFault]:
    """The motions of one file, each read when it is asked for, with a `FileFault` in place of what is bad."""
    try:
        with parsing(path, "a motion file"):
            if path.is_dir():
                raise UserError(_nothing_below(path))
            if not path.is_file():
                raise UserError(f"{path}: {'no file to read' if path.exists() else 'no such file'}.")
            file = OpenedFile(path)
            for found in format_of(file).read(file, options):
                if isinstance(found, FileFault):
                    yield found
                elif found.batched:
                    yield from _members(found, options)
                else:
                    yield from motions_of(found, options)
    except UserError as error:
        said = str(error)
        yield FileFault(path, said if str(path) in said else f"{path}: {said}")


def _members(recording: Recording, options: ReadingOptions) -> Iterator[Motion | FileFault]:
    """The motions of one member of a batch; a bad one does not stop the others."""
    try:
        yield from motions_of(recording, options)
    except UserError as error:
        yield FileFault(recording.path, str(error))


def doubt(motion: Motion) -> str | None:
    """What a person should look at, in one line, or None."""
    return "; ".join(motion.warnings) or doubtful(motion.array, motion.representation)
