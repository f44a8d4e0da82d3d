"""Captions on pictures: a font that is always there, and text broken into lines that fit."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageDraw, ImageFont

from motionrft.pictures.raster import Colour

# Pillow's own font draws Western text and is the same on every machine; these cover more scripts where installed.
WIDER_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf")

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=32)
def font(size: int, plain: bool = True) -> Font:
    """The font at `size` pixels; `plain` False asks for one with more than Western letters."""
    if not plain:
        for name in WIDER_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue  # this font is not installed here
    return ImageFont.load_default(size)


def font_for(text: str, size: int) -> Font:
    """The font that can draw `text`."""
    return font(size, plain=all(ord(letter) < 0x180 or letter in "–—…’“”→" for letter in text))


def wrap(text: str, size: int, width: float, most: int = 3) -> list[str]:
    """Break `text` into at most `most` lines of `width` pixels; what does not fit ends in an ellipsis."""
    pen = font_for(text, size)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and pen.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    kept = [_cut(line, pen, width) for line in lines[:most]]
    if len(lines) > most:
        kept[-1] = _cut(kept[-1] + " …", pen, width)
    return kept


def _cut(line: str, pen: Font, width: float) -> str:
    """Shorten a line (one endless word, say) until it fits."""
    if pen.getlength(line) <= width:
        return line
    body = line.removesuffix("…").rstrip()
    while body and pen.getlength(body + "…") > width:
        body = body[:-1]
    return body.rstrip() + "…"


def write_lines(
    pen: ImageDraw.ImageDraw,
    spot: tuple[float, float],
    lines: list[str],
    size: int,
    colour: Colour,
    anchor: str = "la",
) -> float:
    """Write `lines` from `spot` downwards and return the y below them."""
    x, y = spot
    for line in lines:
        pen.text((x, y), line, fill=colour, font=font_for(line, size), anchor=anchor)
        y += size * 1.3
    return y
