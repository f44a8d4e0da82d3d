"""Captions beside motions: JSON lines in, HumanML3D's text files out, and their mirror image."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from motionrft.errors import UserError

_OTHER_SIDE = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
}
_SIDED = re.compile(r"(counter-?clockwise|clockwise|left|right)", re.IGNORECASE)


def read_captions(path: Path) -> dict[str, list[str]]:
    """Captions by clip, from JSON lines `{"clip_id": "...", "captions": ["...", ...]}`."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}).") from error
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            texts = [" ".join(str(text).split()) for text in row["captions"]]
            captions[str(row["clip_id"])] = texts
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(
                f'{path}: line {number}: expected {{"clip_id": "...", "captions": ["..."]}} ({error!r}).'
            ) from error
    return captions


def first_caption(path: Path) -> str:
    """The first caption of a text file, plain or in HumanML3D's layout; "" where there is none."""
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return next((line.split("#")[0].strip() for line in lines if line.strip()), "")


def text_lines(captions: Sequence[str]) -> str:
    """HumanML3D's text file: `caption#tokens#start#end` a line; no tokens, and 0.0#0.0 for the whole clip."""
    # The separator cannot appear inside a caption.
    return "".join(f"{caption.replace('#', ' ')}##0.0#0.0\n" for caption in captions)


def mirror_caption(caption: str) -> str:
    """The caption of the mirrored motion: left and right, clockwise and counterclockwise change places."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        swapped = _OTHER_SIDE[word.lower().replace("-", "")]
        return swapped.capitalize() if word[0].isupper() else swapped

    return _SIDED.sub(other, caption)
