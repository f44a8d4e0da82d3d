"""A file that grows by a JSON object a line, as `metrics.jsonl`: appended to, read back, cut to where a run goes on."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionrft.errors import RunError
from motionrft.parsing import parse_json, parsing, read_text, split_lines
from motionrft.training.journal import note_written


def append_line(file: Path, values: Mapping[str, Any]) -> None:
    """Add a line. A value that is not finite becomes `null`: JSON has no NaN.

    Raises:
        RunError: the disk is full or failing.
    """
    line = json.dumps({key: _finite(value) for key, value in values.items()}, allow_nan=False)
    note_written(file)
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(line + "\n")
    except OSError as error:
        raise RunError(f"{file}: writing failed ({error.strerror}).") from error


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The JSON objects; a last line without its end is left out, and a file that is not there has none.

    Raises:
        UserError: a line is no JSON object; it is named.
    """
    if not file.is_file():
        return []
    lines = []
    with parsing(file, "JSON lines") as place:
        text = read_text(file)
        for place.line, line in enumerate(split_lines(text[: text.rfind("\n") + 1]), 1):
            lines.append(parse_json(line))
            if not isinstance(lines[-1], dict):
                place.fail("no JSON object.")
    return lines


def settled_size(file: Path) -> int:
    """Bytes of the file, once they are on the disk; 0 where there is none."""
    if not file.is_file():
        return 0
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    return file.stat().st_size


def cut_lines(file: Path, size: int) -> None:
    """Forget what was added after the file had `size` bytes."""
    if file.is_file() and file.stat().st_size > size:
        os.truncate(file, size)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
