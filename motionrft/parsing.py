"""The one boundary between files and us: whatever goes wrong while a file is read is said of the file, in one line.

A reader does its work inside `parsing` and states only the faults that it can explain better than "damaged"; every
other failure, of whatever library below it, becomes a `UserError` with file, place and reason. The few shapes of text
that we read everywhere (lines, JSON, JSON lines, CSV) are here too: an encoding or a line break means the same in all.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from motionrft.errors import Interrupted, RunError, UserError, is_out_of_memory

P = ParamSpec("P")
T = TypeVar("T")

LARGEST_TEXT = 512 << 20
"""Bytes of the largest text file that is read: a thousand times a large data set's captions."""
_LONGEST_REASON = 200
_LINE_END = re.compile(r"\r\n|\r|\n")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Failures of the disk that is written to while something is read (an archive unpacked): not the file's fault."""


class Place:
    """Where a reader is. `str(place)` begins a message: the file, and the line once one is set."""

    def __init__(self, name: str, line: int | None = None) -> None:
        self.name, self.line = name, line

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}: line {self.line}"

    def fail(self, reason: str) -> NoReturn:
        """Raise the `UserError` of this place."""
        raise UserError(f"{self}: {reason}")


@contextmanager
def parsing(source: Path | str, what: str = "") -> Iterator[Place]:
    """Make one `UserError` of every failure inside; those that speak for themselves already pass.

    Args:
        source: the file, as messages call it.
        what: what it should be ("a BVH file"), for failures that say nothing a person understands.

    Raises:
        UserError: file, line where the reader has set one, reason. The cause is chained, for --debug.
    """
    place = Place(str(source))
    try:
        yield place
    except (
        UserError,
        RunError,
        Interrupted,
        ImportError,
    ):  # the last: of an optional package, not of the file
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _WRITING:
            raise
        raise UserError(f"{place}: {_reason(error, what)}") from error


def reads(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorator: the body of a function runs in `parsing`; its first argument is the file or folder."""

    def decorate(reader: Callable[P, T]) -> Callable[P, T]:
        @wraps(reader)
        def read(*arguments: P.args, **named: P.kwargs) -> T:
            source = arguments[0] if arguments else next(iter(named.values()))
            with parsing(str(source), what):
                return reader(*arguments, **named)

        return read

    return decorate


def _reason(error: Exception, what: str) -> str:
    """One sentence about a failure, in a user's words where the kind of failure is known."""
    if isinstance(error, UnicodeDecodeError):
        return _wrong_encoding(error)
    if isinstance(error, json.JSONDecodeError):
        return f"no valid JSON at column {error.colno} ({error.msg})."
    if isinstance(error, csv.Error):
        return f"no valid CSV ({error})."
    if isinstance(error, RecursionError):
        return "nested too deeply."
    if is_out_of_memory(error):
        return "needs more memory than there is."
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})."
    said = " ".join(str(error).split())[:_LONGEST_REASON] or "nothing more is known"
    return f"damaged, or not {what or 'what its name says'} ({type(error).__name__}: {said})."


def _wrong_encoding(error: UnicodeDecodeError) -> str:
    before = error.object[: error.start].decode("latin-1")
    if error.object.startswith(UTF16_MARKS):
        return "UTF-16 text, cut or damaged. Save it as UTF-8."
    byte = error.object[error.start]
    line = len(_LINE_END.findall(before)) + 1
    return f"line {line}: byte 0x{byte:02X} is not UTF-8 (Latin-1, perhaps: {chr(byte)!r}). Save it as UTF-8."


def decode_text(data: bytes) -> str:
    """The text of a file's bytes: UTF-8, or UTF-16 (PowerShell's `>`, Excel) where a byte-order mark says so.

    Raises:
        UnicodeDecodeError: neither; inside `parsing` that becomes a `UserError`.
    """
    return data.decode("utf-16" if data.startswith(UTF16_MARKS) else "utf-8-sig")


def read_text(path: Path | str) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its byte-order mark; marks are invisible.

    Raises:
        UserError: unreadable, larger than `LARGEST_TEXT`, or in another encoding (the line is named).
    """
    path = Path(path)
    with parsing(path, "a text file") as place:
        if path.stat().st_size > LARGEST_TEXT:
            place.fail(f"{path.stat().st_size >> 20} MiB; at most {LARGEST_TEXT >> 20} MiB of text are read.")
        return decode_text(path.read_bytes())


def split_lines(text: str) -> list[str]:
    r"""The lines of a text, which end at \n, \r\n or \r alone: other breaks (VT, FF, NEL, U+2028) are inside a line."""
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def filled_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line that is not blank, without the blanks around it.

    Raises:
        UserError: as `read_text`, or a line holds a NUL.
    """
    yield from numbered_lines(read_text(path), str(path))


def numbered_lines(text: str, source: str) -> Iterator[tuple[int, str]]:
    """As `filled_lines`, of a text that lies in no file of its own; `source` is what messages call it."""
    for number, line in enumerate(split_lines(text), 1):
        if "\0" in line:
            raise UserError(f"{source}: line {number}: a NUL character; this is no text file.")
        if line.strip():
            yield number, line.strip()


def parse_json(text: str | bytes, finite: bool = True) -> Any:
    """The value of a JSON text, strictly: no NaN, no infinity, no key twice in an object.

    Args:
        finite: False takes the words NaN and Infinity, as Python writes them.

    Raises:
        ValueError: it is none; inside `parsing` that becomes a `UserError`.
    """
    constant = _refuse_constant if finite else float
    return json.loads(text, parse_constant=constant, object_pairs_hook=_unique)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError(f"the key {_doubled(name for name, _ in pairs)!r} is there twice")
    return table


def _doubled(names: Iterable[str]) -> str | None:
    """The first name that comes more than once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def read_json(path: Path | str, finite: bool = True) -> dict[str, Any]:
    """The JSON object of a file; `finite` as in `parse_json`.

    Raises:
        UserError: unreadable, no JSON (with line and column), or another value than an object.
    """
    with parsing(path, "a JSON file") as place:
        text = read_text(path)
        if not text.strip():
            place.fail("the file is empty, a JSON object is expected.")
        try:
            value = parse_json(text, finite)
        except json.JSONDecodeError as error:
            place.line = error.lineno
            raise
        if not isinstance(value, dict):
            place.fail(f"holds {_kind(value)}, a JSON object is expected.")
        return value


def json_lines(path: Path | str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every JSON object of a JSON-lines file with its place, blank lines left out.

    Raises:
        UserError: a line is no JSON object. Failures of the caller with a line are the caller's: see `parsing`.
    """
    for number, line in filled_lines(path):
        with parsing(path, "JSON lines") as place:
            place.line = number
            value = parse_json(line)
            if not isinstance(value, dict):
                place.fail(f"holds {_kind(value)}, a JSON object is expected.")
        yield place, value


def csv_rows(path: Path | str) -> tuple[list[str], list[tuple[Place, dict[str, str]]]]:
    """The columns of a CSV file with a header, and its rows with their places.

    Raises:
        UserError: no header, a column twice, a row with more or fewer cells than columns, an open quotation mark.
    """
    columns, rows = csv_stream(path)
    return columns, list(rows)


def csv_stream(path: Path | str) -> tuple[list[str], Iterator[tuple[Place, dict[str, str]]]]:
    """As `csv_rows`, but a row is read, and what is wrong with it said, when it is asked for."""
    with parsing(path, "a CSV file") as place:
        text = read_text(path)
        if "\0" in text:
            place.line = len(_LINE_END.findall(text[: text.index("\0")])) + 1
            place.fail("a NUL character; this is no text file.")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        columns = [name.strip() for name in next(reader, [])]
        if not columns:
            place.fail("no header with columns.")
        if (doubled := _doubled(columns)) is not None:
            place.fail(f"the column {doubled!r} is there twice.")
    return columns, _rows(str(path), reader, columns)


def _rows(path: str, reader: Any, columns: list[str]) -> Iterator[tuple[Place, dict[str, str]]]:
    with parsing(path, "a CSV file") as place:
        for cells in _records(reader, place):
            if cells and len(cells) != len(columns):
                place.fail(f"{len(cells)} cells, the header has {len(columns)} columns.")
            if cells:
                yield Place(path, reader.line_num), dict(zip(columns, cells, strict=True))


def _records(reader: Any, place: Place) -> Iterator[list[str]]:
    """The records of a `csv.reader`, with the place kept up to the line."""
    try:
        for cells in reader:
            place.line = reader.line_num
            yield cells
    except csv.Error:
        place.line = reader.line_num
        raise


def text_of(row: Mapping[str, Any], key: str, place: Place) -> str:
    """A field that must be a text with something in it.

    Raises:
        UserError: it is missing, of another kind, or blank.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        place.fail(f"{key} is {_kind(value)}, a text is expected.")
    return value


def _kind(value: object) -> str:
    """A value in a message: what it is, and itself where it is short."""
    kinds = {dict: "an object", list: "a list", type(None): "nothing (null)"}
    if type(value) in kinds:
        return kinds[type(value)]
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
