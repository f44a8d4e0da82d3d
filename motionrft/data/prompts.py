"""Prompt files: one prompt a line, UTF-8; also as HY-Motion and MLD write them, with lengths; and JSON lines."""

import re
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError
from motionrft.parsing import filled_lines, json_lines, text_of

JSON_LINES = ".jsonl"
_LONGEST = 5000
"""Seconds."""


@dataclass(frozen=True)
class PromptFile:
    """N prompts in order.

    seconds: N durations, or None where the file tells none. said: how the lines were read, where there is more than text.
    held_out: whether each is never to be tuned on, or None where the file says so of none.
    """

    texts: list[str]
    seconds: list[float] | None = None
    said: str | None = None
    held_out: list[bool] | None = None


@dataclass(frozen=True)
class _Layout:
    """A line with a length. fps: what its frames are counted at; frames: lengths that a motion can have."""

    pattern: re.Pattern[str]
    words: str
    fps: float
    frames: range = range(8, 3601)

    def read(self, line: str) -> tuple[str, float] | None:
        """(prompt, seconds), or None where the line is not of this layout."""
        found = self.pattern.fullmatch(line)
        if found is None or int(found["frames"]) not in self.frames:
            return None
        return found["text"].strip(), int(found["frames"]) / self.fps


LAYOUTS = (
    _Layout(re.compile(r"(?P<text>[^#]+)#(?P<frames>\d{1,4})#[^#]*"), "text#frames#id", 30.0),
    _Layout(re.compile(r"(?P<frames>\d{1,4})\s+(?P<text>\S.*)"), "frames text", 20.0),
)
"""HY-Motion's and MLD's. A file is of a layout when every line of it is."""


def read_prompt_file(path: Path) -> PromptFile:
    """The prompts of a text file in order, blank lines left out; a byte-order mark and CRLF are invisible.

    Of a file of JSON lines (`prompts.jsonl` of `motionrft prefer`): `text`, `seconds` and `held_out` of every line.

    Raises:
        UserError: the file is missing, not UTF-8, holds a NUL, or has no prompt; a line of JSON lacks or mistakes one.
    """
    if path.suffix.lower() == JSON_LINES:
        return _read_json_lines(path)
    lines = [line for _, line in filled_lines(path)]
    if not lines:
        raise UserError(f"{path}: no prompt there. Write one prompt a line.")
    for layout in LAYOUTS:
        found = [layout.read(line) for line in lines]
        if all(found):
            texts, seconds = zip(*(pair for pair in found if pair), strict=True)
            said = f"{path}: every line is `{layout.words}`, so lengths are its frames at {layout.fps:g} a second."
            return PromptFile(list(texts), list(seconds), said)
    return PromptFile(lines)


def _read_json_lines(path: Path) -> PromptFile:
    texts, seconds, apart = [], list[float | None](), list[bool]()
    for place, entry in json_lines(path):
        length, held_out = entry.get("seconds"), entry.get("held_out", False)
        if length is not None and (type(length) not in (int, float) or not 0 < length <= _LONGEST):
            place.fail(f"seconds is {length!r}; a number above 0 is wanted")
        if type(held_out) is not bool:
            place.fail(f"held_out is {held_out!r}; true or false is wanted")
        if seconds and (length is None) != (seconds[0] is None):
            place.fail("seconds of some lines and not of others: give all of them a length, or none")
        texts.append(text_of(entry, "text", place).strip())
        seconds.append(length)
        apart.append(held_out)
    if not texts:
        raise UserError(f"{path}: no prompt there. Write one JSON object with a text a line.")
    lengths = [float(each) for each in seconds if each is not None]
    told = "texts, and lengths in seconds" if lengths else "texts"
    said = f"{path}: JSON lines; {told} are theirs."
    if any(apart):
        said = f"{said[:-1]}, and {sum(apart)} of {len(apart)} are held out."
    return PromptFile(texts, lengths or None, said, apart if any(apart) else None)


def read_prompts(path: Path) -> list[str]:
    """The texts alone of `read_prompt_file`."""
    return read_prompt_file(path).texts
