"""Lists of files on the command line: arguments, globs that the shell left alone, and `-` for standard input."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from motionrft.errors import UserError

Null = Annotated[
    bool,
    typer.Option("--null", "-0", help="paths from standard input end in NUL, as find -print0 writes them"),
]

NOTHING_LISTED = "-: the list on standard input is empty"


def listed_paths(
    arguments: Iterable[str], null: bool = False, stdin: BinaryIO | None = None
) -> Iterator[str]:
    """The paths that were asked for, in order, `-` replaced by the list on standard input as it arrives.

    Names are bytes to the system: those that are no UTF-8 travel as surrogate escapes, as Python's own functions
    expect them. Names with a newline need `null`.

    Args:
        arguments: what the user wrote; a file that is really called `-` is `./-`.
        null: entries of standard input end in NUL instead of a line's end.
        stdin: standard input unless a test says otherwise.

    Raises:
        UserError: standard input is asked for twice, or it is a terminal where nobody would know to type.
    """
    taken = False
    for argument in arguments:
        if argument != "-":
            yield argument
            continue
        if taken:
            raise UserError("-: standard input can be read once only")
        taken = True
        source = sys.stdin.buffer if stdin is None else stdin
        if source.isatty():
            raise UserError(
                "-: a list of paths is expected on standard input, for example: find . -name '*.npy' | ..."
            )
        yield from (os.fsdecode(entry) for entry in _entries(source, null))


def expand_inputs(arguments: Iterable[str], null: bool = False, stdin: BinaryIO | None = None) -> list[Path]:
    """All paths at once, patterns like `motions/**/*.npy` expanded; otherwise as `listed_paths`.

    Raises:
        UserError: a pattern matches nothing, or there is not a single path.
    """
    paths: list[Path] = []
    for name in listed_paths(arguments, null, stdin):
        if not (found := expanded(name)):
            raise UserError(f"{name}: nothing matches this pattern")
        paths += found
    if not paths:
        raise UserError(NOTHING_LISTED)
    return paths


def expanded(name: str) -> list[Path]:
    """A path, or where nothing is called so and it is a pattern, whatever matches it, sorted; nothing may."""
    if os.path.lexists(name) or not glob.has_magic(name):
        return [Path(name)]
    return list(map(Path, sorted(glob.glob(name, recursive=True))))


def _entries(source: BinaryIO, null: bool) -> Iterator[bytes]:
    """Entries as they arrive; empty ones are skipped, a line's carriage return is not part of a name."""
    rest = b""
    while chunk := source.read1(65536):  # type: ignore[attr-defined]
        *entries, rest = (rest + chunk).split(b"\0" if null else b"\n")
        yield from (entry for entry in map(bytes if null else _without_return, entries) if entry)
    if last := rest if null else _without_return(rest):
        yield last


def _without_return(line: bytes) -> bytes:
    return line.removesuffix(b"\r")
