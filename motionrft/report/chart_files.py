"""The report's charts as SVG files of their own, for papers and slides."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from motionrft.report.charts import COLOURS, HEIGHT, LEFT, WIDTH, Line, drawing, prepare
from motionrft.report.content import Series
from motionrft.training import atomic

_HEAD, _ROW, _COLUMNS = 30, 18, 3
_STYLE = """
text { font: 12px sans-serif; fill: #555 } .title { font-weight: bold; font-size: 14px; fill: #222 }
.grid { stroke: #ddd } .axis { stroke: #777 } path { fill: none } .line { stroke-width: 2 }
.raw { stroke-width: 1; opacity: .28 } .band { stroke: none !important; opacity: .16 }
"""


def write_chart(path: Path, series: Sequence[Series]) -> None:
    """Draw series that share axes into `path`, with a title and a legend; it needs no style sheet or script."""
    lines, axes = prepare(series)
    height = _HEAD + HEIGHT + _ROW * -(-len(lines) // _COLUMNS) + 8
    colours = "".join(
        f".s{place} {{ stroke: {colour} }} .dot.s{place}, .band.s{place}, .key.s{place} {{ fill: {colour} }}\n"
        for place, colour in enumerate(COLOURS)
    )
    title = series[0].chart + (f" ({series[0].unit})" if series[0].unit else "")
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<style>{_STYLE}{colours}</style><rect width="100%" height="100%" fill="white"/>'
        f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>'
        f'<g transform="translate(0 {_HEAD})">{drawing(lines, axes, series[0].x_label)}</g>{_legend(lines)}</svg>\n'
    )
    atomic.write_text(path, text)


def _legend(lines: Sequence[Line]) -> str:
    wide = (WIDTH - LEFT) // _COLUMNS
    parts = []
    for place, line in enumerate(lines):
        x, y = LEFT + place % _COLUMNS * wide, _HEAD + HEIGHT + _ROW * (place // _COLUMNS) + 12
        parts.append(f'<rect class="key s{place % len(COLOURS)}" x="{x}" y="{y - 7}" width="14" height="4"/>')
        parts.append(f'<text x="{x + 20}" y="{y}">{escape(line.name)}</text>')
    return "".join(parts)
