"""Caption files of HumanML3D: one caption a line, `caption#word/TAG word/TAG#start#end`, times in seconds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError
from motionrft.parsing import filled_lines

_LONGEST = 1e6
"""Seconds; eleven days."""


@dataclass(frozen=True)
class Caption:
    """One caption of a clip.

    tokens: `word/TAG` items for evaluators that read words; empty where the data set gives none.
    start, end: seconds of the part that is described; both 0 for the whole clip.
    """

    text: str
    tokens: tuple[str, ...] = ()
    start: float = 0.0
    end: float = 0.0

    @property
    def whole(self) -> bool:
        return self.start == 0.0 and self.end == 0.0


def read_captions(path: Path) -> list[Caption]:
    """The captions of one clip, in file order.

    Raises:
        UserError: the file is not UTF-8, or a line has neither one nor four fields, no words, or times that are
            none.
    """
    return parse_captions(filled_lines(path), str(path))


def parse_captions(lines: Iterable[tuple[int, str]], source: str) -> list[Caption]:
    """The captions of numbered lines; `source` is what messages call where they lie. Raises as `read_captions`."""
    return [_parse(line, f"{source}: line {number}") for number, line in lines]


def caption_fault(lines: Iterable[tuple[int, str]], source: str, seconds: float) -> str | None:
    """What is wrong with the captions of a clip of so many seconds, or None; where a line cannot be read, with it."""
    try:
        captions = parse_captions(lines, source)
    except UserError as error:
        return f"unreadable captions: {error}"
    if not captions:
        return "no captions"
    if any(not caption.whole and caption.start >= min(caption.end, seconds) for caption in captions):
        return "captions of no part of their clip"
    return None


def _parse(line: str, place: str) -> Caption:
    parts = line.split("#")
    if len(parts) == 1:
        return Caption(line)
    try:
        caption, tokens, start, end = parts
        # HumanML3D writes nan for a clip that is described as a whole.
        times = [0.0 if math.isnan(value) else value for value in (float(start), float(end))]
    except ValueError:
        raise UserError(
            f"{place}: {line!r} is neither a caption nor HumanML3D's `caption#tokens#start#end`."
        ) from None
    if not all(0 <= value <= _LONGEST for value in times):
        raise UserError(f"{place}: from {start} to {end} s is no part of a clip.")
    if not caption.strip():
        raise UserError(f"{place}: nothing stands before the first #: a caption is words.")
    return Caption(caption.strip(), tuple(tokens.split()), *times)
