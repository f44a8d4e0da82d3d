"""What the jobs of an array leave behind, so that it can be put together: their lines, and a last one that signs them.

A job that was killed has not signed, and a job that is missing or there twice is known by its number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.parsing import json_lines, read_json

SIGNED = "shard.json"
"""In the folder of a job whose result is files."""
SHARD, COMMAND, POSITION = "shard", "command", "position"


@dataclass(frozen=True)
class Part:
    """One job's work. number and count: the I and N of --shard, from 1. signed: what it says of itself."""

    place: Path
    number: int
    count: int
    signed: dict[str, Any]
    lines: tuple[dict[str, Any], ...] = ()


def read_part(place: Path) -> Part:
    """A file of JSON lines, or a folder.

    Raises:
        UserError: it is no job's, or the job has not come to its end.
    """
    if place.is_dir():
        if not (place / SIGNED).is_file():
            raise UserError(f"{place}: no {SIGNED}: no job of an array, or one that did not come to its end.")
        return _part(place, read_json(place / SIGNED), ())
    lines = [line for _, line in json_lines(place)]
    if not lines or SHARD not in lines[-1]:
        raise UserError(
            f"{place}: its last line does not say which share it is: no output of --shard I/N --json, or of a job that "
            "did not come to its end."
        )
    *own, signed = lines
    if signed.get("lines") != len(own) or not all(isinstance(line.get(POSITION), int) for line in own):
        raise UserError(
            f"{place}: {len(own)} lines of {signed.get('lines')} that the job has written: damaged."
        )
    return _part(place, signed, tuple(own))


def checked(places: Sequence[Path]) -> list[Part]:
    """All jobs of one array, in order.

    Raises:
        UserError: one is missing, there twice, or of another array.
    """
    parts = sorted((read_part(place) for place in places), key=lambda part: part.number)
    first = parts[0]
    for part in parts[1:]:
        if (apart := _difference(first, part)) is not None:
            raise UserError(f"{part.place}: of another array than {first.place}: {apart}.")
    for one, other in pairwise(parts):
        if one.number == other.number:
            raise UserError(
                f"{other.place}: share {one.number}/{one.count} again: {one.place} is it already."
            )
    missing = sorted(set(range(1, first.count + 1)) - {part.number for part in parts})
    if missing:
        named = ", ".join(f"{number}/{first.count}" for number in missing[:5])
        raise UserError(f"{first.place} and {len(parts) - 1} more: missing {named}. All shares are needed.")
    return parts


def merged_lines(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The lines of all jobs as one process would have written them."""
    lines = sorted((line for part in parts for line in part.lines), key=_order)
    return [{key: value for key, value in line.items() if key != POSITION} for line in lines]


def _order(line: dict[str, Any]) -> tuple[int, int]:
    index = line.get("index", 0)
    return line[POSITION], index if isinstance(index, int) else 0


def _part(place: Path, signed: dict[str, Any], lines: tuple[dict[str, Any], ...]) -> Part:
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(signed.get(SHARD)))
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"{place}: {SHARD} is {signed.get(SHARD)!r}, I/N is expected.")
    return Part(place, int(found[1]), int(found[2]), signed, lines)


def _difference(first: Part, other: Part) -> str | None:
    """In what two jobs' arrays differ, if they do."""
    if first.count != other.count:
        return f"{first.count} shares, not {other.count}"
    names = sorted(
        name
        for name in first.signed.keys() | other.signed.keys()
        if name not in (SHARD, "lines") and first.signed.get(name) != other.signed.get(name)
    )
    return f"{', '.join(names)} differ" if names else None
