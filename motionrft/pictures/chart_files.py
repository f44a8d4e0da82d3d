"""The report's charts as SVG files of their own, for papers and slides."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from motionrft.pictures.charts import HEIGHT, LEFT, WIDTH, line_chart
from motionrft.pictures.report import Series
from motionrft.training import atomic

_HEAD, _ROW, _COLUMNS = 30, 18, 3
_COLOURS = ("#2f6fb5", "#d9702c", "#3f9a62", "#a05bb5", "#b08a1e", "#8a8f9b")
_STYLE = """
text { font: 12px sans-serif; fill: #555 } .title { font-weight: bold; font-size: 14px; fill: #222 }
.grid { stroke: #ddd } .axis { stroke: #777 } path { fill: none } .line { stroke-width: 2 }
.raw { stroke-width: 1; opacity: .28 } .band { stroke: none !important; opacity: .16 } .hover { display: none
}
"""


def write_chart(path: Path, series: Sequence[Series]) -> None:
    """Draw series that share axes into `path`, with a title and a legend; no style sheet or script is
    needed.
    """
    html, _ = line_chart(series)
    found = re.search(r"<svg[^>]*>(.*)</svg>", html, re.DOTALL)
    assert found is not None
    rows = -(-len(series) // _COLUMNS)
    height = _HEAD + HEIGHT + _ROW * rows + 8
    style = _STYLE + "".join(
        f".s{i} {{ stroke: {c} }} .dot.s{i}, .band.s{i}, .key.s{i} {{ fill: {c} }}\n"
        for i, c in enumerate(_COLOURS)
    )
    head = series[0].chart + (f" ({series[0].unit})" if series[0].unit else "")
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="white"/>'
        f'<text class="title" x="{LEFT}" y="20">{escape(head)}</text>'
        f'<g transform="translate(0 {_HEAD})">{found[1]}</g>{_legend(series)}</svg>\n'
    )
    atomic.write_text(path, text)


def _legend(series: Sequence[Series]) -> str:
    wide = (WIDTH - LEFT) // _COLUMNS
    parts = []
    for place, one in enumerate(series):
        x, y = LEFT + place % _COLUMNS * wide, _HEAD + HEIGHT + _ROW * (place // _COLUMNS) + 12
        parts.append(f'<rect class="key s{place % 6}" x="{x}" y="{y - 7}" width="14" height="4"/>')
        parts.append(f'<text x="{x + 20}" y="{y}">{escape(one.name)}</text>')
    return "".join(parts)
