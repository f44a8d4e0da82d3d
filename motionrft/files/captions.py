"""Captions beside motions: JSON lines in, HumanML3D's text files out, and their mirror image."""

import re
from collections.abc import Sequence
from pathlib import Path

from motionrft.parsing import Place, filled_lines, json_lines

_OTHER_SIDE = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
}
_SIDED = re.compile(
    r"((?:counter|anti)[- ]?clockwise|clockwise|(?<!c)left(?!-?over)|(?<![a-z])right)", re.IGNORECASE
)
"""Not of whoever stands upright, or dances brightly."""


def read_captions(path: Path) -> dict[str, list[str]]:
    """Captions by clip, from JSON lines `{"clip_id": "...", "captions": ["...", ...]}`.

    A clip that has several lines has the captions of all of them; an empty list says that it has none.

    Raises:
        UserError: a line is no such object; the line is named.
    """
    captions: dict[str, list[str]] = {}
    for place, row in json_lines(path):
        clip = row.get("clip_id")
        if not isinstance(clip, str) or not clip.strip():
            place.fail(f'clip_id is {clip!r}; a line is {{"clip_id": "...", "captions": ["..."]}}.')
        captions.setdefault(clip, []).extend(_texts(row.get("captions"), place))
    return captions


def _texts(listed: object, place: Place) -> list[str]:
    """The captions of a line, each on one line of its own."""
    if not isinstance(listed, list):
        place.fail(f"captions is {listed!r}; a list of texts is expected.")
    for text in listed:
        if not isinstance(text, str) or not text.strip():
            place.fail(f"the caption {text!r} is no text.")
    return [" ".join(text.split()) for text in listed]


def first_caption(path: Path) -> str:
    """The first caption of a text file, plain or in HumanML3D's layout; "" where there is none.

    Raises:
        UserError: the file is there and is no text.
    """
    if not path.is_file():
        return ""
    return next((line.split("#")[0].strip() for _, line in filled_lines(path)), "")


def text_lines(captions: Sequence[str]) -> str:
    """HumanML3D's text file: `caption#tokens#start#end` a line; no tokens, and 0.0#0.0 for the whole clip."""
    # The separator cannot appear inside a caption.
    return "".join(f"{caption.replace('#', ' ')}##0.0#0.0\n" for caption in captions)


def mirror_caption(caption: str) -> str:
    """The caption of the mirrored motion: left and right, clockwise and counterclockwise change places."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        swapped = _OTHER_SIDE[re.sub("[- ]", "", word.lower())]
        return swapped.capitalize() if word[0].isupper() else swapped

    return _SIDED.sub(other, caption)
