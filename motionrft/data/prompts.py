"""Prompt files: one prompt a line, UTF-8; also as HY-Motion and MLD write them, with lengths."""

import re
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError
from motionrft.parsing import filled_lines


@dataclass(frozen=True)
class PromptFile:
    """N prompts in order.

    seconds: N durations, or None where the file tells none. said: how the lines were read, where there is more than text.
    """

    texts: list[str]
    seconds: list[float] | None = None
    said: str | None = None


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

    Raises:
        UserError: the file is missing, not UTF-8, holds a NUL, or has no prompt.
    """
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


def read_prompts(path: Path) -> list[str]:
    """The texts alone of `read_prompt_file`."""
    return read_prompt_file(path).texts
