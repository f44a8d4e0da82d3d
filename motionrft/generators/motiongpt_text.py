"""Motions in MotionGPT's text: strings of motion tokens, and the templates that they and captions are put into.

Strings and templates are those of the published code (Jiang et al. 2023): what its parser drops is dropped here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

PLAIN = "Generate motion: <Caption_Placeholder>"
"""What evaluation asks."""
WITH_FRAMES = "Generate motion with <Frame_Placeholder> frames: <Caption_Placeholder>"
CAPTIONING = "Generate text: <Motion_Placeholder>"
PREDICT_RATIO, INBETWEEN_RATIO = 0.2, 0.25
_MOTION = "<Motion_Placeholder>"


def token_word(number: int) -> str:
    """The word of motion token `number`: a code, or K start, K + 1 end, K + 2 mask."""
    return f"<motion_id_{number}>"


def motion_string(tokens: Sequence[int], codes: int) -> str:
    """Tokens between start and end; `codes` is K."""
    return "".join(token_word(number) for number in (codes, *tokens, codes + 1))


@dataclass(frozen=True)
class ParsedMotion:
    """What the published parser makes of a text.

    tokens: as written, [0] where there is no motion. text: the text with the motion replaced by a placeholder.
    """

    tokens: list[int]
    text: str

    @property
    def usable(self) -> bool:
        """Whether it is a motion: more than one token."""
        return len(self.tokens) > 1

    def clamped(self, codes: int) -> list[int]:
        """Codes in 0…K-1: mask, start and end inside a motion become the last code."""
        return [min(max(number, 0), codes - 1) for number in self.tokens]


def parse_motion(text: str, codes: int) -> ParsedMotion:
    """Read the motion between the first start and the first end; words between its tokens swallow their neighbours.

    Raises:
        ValueError: something between two tokens ends in no number.
    """
    start, end = token_word(codes), token_word(codes + 1)
    if start not in text or end not in text:
        return ParsedMotion([0], text)
    inside = text[text.index(start) + len(start) : text.index(end)]
    motion = start + inside + end
    tokens = [int(piece.split("_")[-1].replace(">", "")) for piece in motion.split("><")[1:-1]]
    return ParsedMotion(tokens or [0], text.replace(motion, _MOTION))


@dataclass(frozen=True)
class TemplateSettings:
    """codes: K. fps, stride: frames a second and a token. predict, inbetween: shares of a motion that are shown."""

    codes: int
    fps: float = 20.0
    stride: int = 4
    predict: float = PREDICT_RATIO
    inbetween: float = INBETWEEN_RATIO


def fill(
    template: str,
    settings: TemplateSettings,
    caption: str = "",
    frames: int = 0,
    tokens: Sequence[int] = (),
    quoted: bool = False,
) -> str:
    """A template with its placeholders filled.

    Args:
        frames: of the motion: its number of tokens follows. quoted: the caption in quotation marks, as the published code
            has it in half of its prompts, at inference too.
    """
    head, tail, masked = _parts(tokens, frames, settings)
    fillings = {
        "<Caption_Placeholder>": f'"{caption}"' if quoted else caption,
        _MOTION: motion_string(tokens, settings.codes),
        "<Frame_Placeholder>": str(frames),
        "<Second_Placeholder>": f"{frames // settings.fps:.1f}",
        "<Motion_Placeholder_s1>": head,
        "<Motion_Placeholder_s2>": tail,
        "<Motion_Placeholder_Masked>": masked,
    }
    return re.sub("|".join(map(re.escape, fillings)), lambda found: fillings[found[0]], template)


def _parts(tokens: Sequence[int], frames: int, settings: TemplateSettings) -> tuple[str, str, str]:
    """The beginning of a motion, the rest of it, and the whole with its middle masked; cut among start and tokens."""
    count = frames // settings.stride
    start, end, mask = (token_word(settings.codes + number) for number in range(3))
    pieces = [start, *map(token_word, tokens), end]
    shown = int(settings.predict * count + 1)
    first, last = int(settings.inbetween * count + 1), int((1 - settings.inbetween) * count + 1)
    head, tail = "".join(pieces[:shown]) + end, start + "".join(pieces[shown:])
    return head, tail, "".join([*pieces[:first], *[mask] * (last - first), *pieces[last:]])
