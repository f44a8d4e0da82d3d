"""What constraints a person names: one list for all motions, or a list a prompt, from a file or from a folder.

    FILE.json    a list, as Kimodo writes it: every motion is held to it
    FILE.jsonl   a line a prompt: {"text": "a person walks", "constraints": [...]}
    FOLDER       folders of Kimodo's: meta.json, whose `text` is the prompt, beside constraints.json

Prompts are compared as Kimodo cleans them, so capitals, blanks and a final period make no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from motionrft.errors import UserError
from motionrft.parsing import filled_lines, parse_json, parsing, read_json, read_text
from motionrft.text.prompt_cleaning import clean_prompt

NOTHING: Final = -1
"""Place of a prompt that nothing is wished for."""
_META, _WISHES = "meta.json", "constraints.json"


@dataclass(frozen=True)
class ByPrompt:
    """lists: of wishes; origins: where each stands, for messages; places: cleaned prompt to place among them."""

    lists: list[Any] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, text: Any, wishes: Any, origin: str) -> None:
        """Raises `UserError` for what is no prompt, or for one that was there before."""
        if not isinstance(text, str) or not clean_prompt(text):
            raise UserError(f"{origin}: text is {text!r}; a prompt is wanted.")
        prompt = clean_prompt(text)
        if prompt in self.places:
            raise UserError(
                f"{origin}: the prompt {text!r} stands in {self.origins[self.places[prompt]]} too."
            )
        self.places[prompt] = len(self.lists)
        self.lists.append(wishes)
        self.origins.append(origin)

    def place(self, text: str) -> int:
        return self.places.get(clean_prompt(text), NOTHING)


def read_wishes_at(path: Path) -> Any:
    """A list for all motions, or `ByPrompt`.

    Raises:
        UserError: missing, damaged, or of none of the three forms.
    """
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() == ".jsonl":
        return _of_lines(path)
    with parsing(path, "constraints.json"):
        return parse_json(read_text(path))


def _of_lines(path: Path) -> ByPrompt:
    found = ByPrompt()
    for number, line in filled_lines(path):
        with parsing(path, "constraints, a line a prompt") as place:
            place.line = number
            entry = parse_json(line)
        if not isinstance(entry, Mapping) or set(entry) != {"text", "constraints"}:
            raise UserError(
                f"{path}: line {number}: an object of text and constraints is wanted, and nothing else."
            )
        found.add(entry["text"], entry["constraints"], f"{path}: line {number}")
    return _not_empty(found, path)


def _of_folder(folder: Path) -> ByPrompt:
    found = ByPrompt()
    for meta in sorted(folder.rglob(_META)):
        wishes = meta.with_name(_WISHES)
        if not wishes.is_file():
            continue
        said = read_json(meta)
        if "text" not in said:
            raise UserError(
                f"{meta}: no text. Motions of several texts are not made here: give each its own folder."
            )
        with parsing(wishes, _WISHES):
            found.add(said["text"], parse_json(read_text(wishes)), str(wishes))
    return _not_empty(found, folder)


def _not_empty(found: ByPrompt, place: Path) -> ByPrompt:
    if not found.lists:
        raise UserError(
            f"{place}: no constraints. A folder holds folders with {_META} and {_WISHES}; a .jsonl a line a prompt."
        )
    return found
