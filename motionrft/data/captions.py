"""Caption files of HumanML3D: one caption a line, `caption#word/TAG word/TAG#start#end`, times in seconds."""

import math
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError


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
        UserError: the file is not UTF-8, or a line has neither one nor four fields.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the captions as UTF-8.") from None
    lines = [line.strip() for line in text.splitlines()]
    return [_parse(line, path, number) for number, line in enumerate(lines, 1) if line]


def _parse(line: str, path: Path, number: int) -> Caption:
    parts = line.split("#")
    if len(parts) == 1:
        return Caption(line)
    try:
        caption, tokens, start, end = parts
        times = [0.0 if math.isnan(value) else value for value in (float(start), float(end))]
    except ValueError:
        raise UserError(
            f"{path}:{number}: {line!r} is neither a caption nor HumanML3D's `caption#tokens#start#end`."
        ) from None
    return Caption(caption.strip(), tuple(tokens.split()), *times)
