"""What is said of one thing: its kind, its facts, what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from motionrft.errors import UserError
from motionrft.parsing import read_json, read_text, split_lines
from motionrft.training.fingerprints import folder_hash, path_hash

_LONGEST = 160
"""Letters of a licence line that is shown."""
_FILES = ("LICENSE*", "LICENCE*", "COPYING*")
_CARD = "README.md"
HASHED = 2 << 30
"""Bytes of files that are hashed; of more the hash is left out."""


@dataclass(frozen=True)
class Found:
    """path: as it was named, or found below a folder that was.

    kind: motion, data set, generator, …; "" where it is nothing that is read here.
    facts: what is known of it, by name, in the order in which people read it; JSON values.
    problem: one sentence, where it cannot be used as it is.
    """

    path: Path
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"path": str(self.path), "kind": self.kind, **self.facts, "problem": self.problem}


def faulty(path: Path, kind: str, error: UserError) -> Found:
    """A thing of a kind that is told by its outside, and whose inside is damaged."""
    said = str(error)
    return Found(path, kind, {}, said if str(path) in said else f"{path}: {said}")


def on_disk(path: Path) -> dict[str, Any]:
    """Bytes, licence and SHA-256 of a file or of all files of a folder."""
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    size = sum(each.stat().st_size for each in files)
    facts: dict[str, Any] = {"bytes": size, "licence": licence(path if path.is_dir() else path.parent)}
    if size <= HASHED:
        facts["sha256"] = folder_hash(path) if path.is_dir() else path_hash(path)
    return facts


def licence(folder: Path) -> str | None:
    """What a folder says of its licence: `dataset.json`, `config.json`, its card, or a licence file's first line."""
    return _told(folder) or _on_card(folder) or _in_file(folder)


def _told(folder: Path) -> str | None:
    for name, inside in (("dataset.json", None), ("config.json", "about")):
        if not (folder / name).is_file():
            continue
        values = read_json(folder / name)
        values = values if inside is None else values.get(inside, {})
        for word in ("licence", "license"):
            said = values.get(word) if isinstance(values, dict) else None
            if isinstance(said, str) and said and said != "not stated":
                return _short(said)
    return None


def _on_card(folder: Path) -> str | None:
    """A line `license: …` or `Licence: …`, the paragraph below such a heading, or the sentence of a converted card."""
    if not (folder / _CARD).is_file():
        return None
    lines = [line.strip().lstrip("-*# ").strip() for line in split_lines(read_text(folder / _CARD))]
    for number, line in enumerate(lines):
        word, _, rest = line.partition(":")
        if word.lower() in ("licence", "license"):
            below = " ".join(lines[number + 1 :]).strip()
            return _short(rest.strip() or below) or None
        if "licence" in line.lower() and line.lower().startswith(("the weights", "weights")):
            return _short(line)
    return None


def _in_file(folder: Path) -> str | None:
    for pattern in _FILES:
        for path in sorted(folder.glob(pattern)):
            first = next((line.strip() for line in split_lines(read_text(path)) if line.strip()), "")
            return f"{_short(first)} ({path.name})"
    return None


def _short(text: str) -> str:
    return shorten(text, _LONGEST, placeholder=" …")
