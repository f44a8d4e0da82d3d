"""A file of answers that only grows: what was paid for once is never asked again, wherever a run was killed."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from motionrft.errors import UserError


class Journal:
    """Records by key, one JSON object a line, each on the disk before `add` returns.

    A last line that a kill cut short is dropped when the file is opened.
    """

    def __init__(self, path: Path):
        self.path = path
        self.records: dict[str, dict[str, Any]] = {}
        whole = 0
        for line in _lines(path):
            try:
                record = json.loads(line)
                self.records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                if line.endswith(b"\n"):
                    raise UserError(f"{path}: damaged at byte {whole}; move the file away.") from None
                break
            whole += len(line)
        if path.exists() and whole < path.stat().st_size:
            os.truncate(path, whole)

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self.records[key]

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Write a record; a later one of the same key replaces it for readers."""
        self.records[key] = {"key": key, **record}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(self.records[key]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def unanswered(keys: Sequence[str], journal: Journal) -> list[int]:
    """Places of the keys that a journal lacks, the first of those that are alike."""
    first = {key: place for place, key in reversed(list(enumerate(keys))) if key not in journal}
    return sorted(first.values())


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with open(path, "rb") as file:
            yield from file
