"""Line charts as inline SVG: drawn here, so they print and need no script; hovering is the script's only part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from motionrft.report.content import Series
from motionrft.report.numbers import tick_labels, ticks

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 36
NOISY = 80  # points from which a line is drawn pale under its running mean
MOST_POINTS = 400

# Of the lines, in their order; readable on white and on black. On the page the first follows the theme's accent.
COLOURS = ("#2f6fb5", "#d9702c", "#3f9a62", "#a05bb5", "#b08a1e", "#8a8f9b")


@dataclass(frozen=True)
class Line:
    """A series made ready: at most 400 points, and the running mean over `window` of them."""

    name: str
    x: np.ndarray
    y: np.ndarray
    smooth: np.ndarray
    window: int
    low: np.ndarray | None
    high: np.ndarray | None


@dataclass(frozen=True)
class Axes:
    """Maps data to the SVG's coordinates."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: np.ndarray | float) -> np.ndarray | float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: np.ndarray | float) -> np.ndarray | float:
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)


def line_chart(series: Sequence[Series], number: int = 0) -> tuple[str, dict[str, Any]]:
    """Draw series that share axes.

    Args:
        series: at least one; the first gives the axes' labels.
        number: the chart's place on the page, by which the script finds its data.

    Returns:
        The figure's HTML, and the data its hover needs.
    """
    lines, axes = prepare(series)
    head = series[0]
    unit = f" ({head.unit})" if head.unit else ""
    label = escape(head.chart, quote=True)
    cross = '<g class="hover"><line class="cross"/></g>'
    inside = drawing(lines, axes, head.x_label) + cross
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{inside}</svg>'
    heading = f"<figcaption>{escape(head.chart)}<small>{escape(unit)}</small></figcaption>"
    html = f'<figure class="chart" data-chart="{number}">{heading}{svg}{_legend(lines)}</figure>'
    return html, _hover(lines, axes, head)


def prepare(series: Sequence[Series]) -> tuple[list[Line], Axes]:
    """The lines ready to draw, and axes that hold them all."""
    lines = [_prepare(one) for one in series]
    return lines, _axes(lines, any(one.from_zero for one in series))


def drawing(lines: Sequence[Line], axes: Axes, x_label: str) -> str:
    """What stands inside a chart's SVG: grid, axes and lines; their looks come from a style sheet."""
    return _frame(axes, x_label) + "".join(_drawn(line, axes, place) for place, line in enumerate(lines))


def _prepare(series: Series) -> Line:
    x, y = (np.asarray(values, dtype=np.float64) for values in (series.x, series.y))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(
            f"series {series.name!r}: x has shape {x.shape} and y {y.shape}; they must be equal and flat"
        )
    window = max(round(len(y) / 25), 1) if len(y) >= NOISY else 1
    smooth = running_mean(y, window)
    bands = [
        None if band is None else np.asarray(band, dtype=np.float64) for band in (series.low, series.high)
    ]
    kept: np.ndarray = np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(int)
    low, high = (None if band is None else band[kept] for band in bands)
    return Line(series.name, x[kept], y[kept], smooth[kept], window, low, high)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean (N,) over `window` finite values; shorter at the ends, NaN where there is none."""
    if window < 2:
        return values
    known = np.isfinite(values)
    kernel = np.ones(window)  # (w,)
    total = np.convolve(np.where(known, values, 0.0), kernel, "same")  # (N,)
    count = np.convolve(known.astype(float), kernel, "same")
    return np.where(known & (count > 0), total / np.maximum(count, 1), np.nan)


def _axes(lines: Sequence[Line], from_zero: bool) -> Axes:
    xs = np.concatenate([line.x for line in lines])
    ys = np.concatenate(
        [part for line in lines for part in (line.y, line.low, line.high) if part is not None]
    )
    ys = ys[np.isfinite(ys)]
    x_low, x_high = (float(xs.min()), float(xs.max())) if xs.size else (0.0, 1.0)
    y_low, y_high = (float(ys.min()), float(ys.max())) if ys.size else (0.0, 1.0)
    room = 0.06 * (y_high - y_low) or 0.05 * max(abs(y_high), 1e-6)
    y_low, y_high = y_low - room, y_high + room
    if from_zero:
        y_low, y_high = min(y_low, 0.0) if y_low < -room else 0.0, y_high * 1.08
    return Axes(x_low, x_high if x_high > x_low else x_low + 1.0, y_low, y_high)


def _frame(axes: Axes, x_label: str) -> str:
    parts = []
    values = ticks(axes.y_low, axes.y_high)
    for value, label in zip(values, tick_labels(values), strict=True):
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    values = ticks(axes.x_low, axes.x_high, 6)
    for value, label in zip(values, tick_labels(values), strict=True):
        x = axes.x(value)
        parts.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 4}"/>'
        )
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{label}</text>'
        )
    bottom = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="tick" x="{middle:.1f}" y="{HEIGHT - 3}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return "".join(parts)


def _drawn(line: Line, axes: Axes, place: int) -> str:
    colour = f"s{place % len(COLOURS)}"
    parts = []
    if line.low is not None and line.high is not None:
        parts.append(f'<path class="band {colour}" d="{_band(line, axes)}"/>')
    if line.window > 1:
        parts.append(f'<path class="raw {colour}" d="{path(axes.x(line.x), axes.y(line.y))}"/>')
    parts.append(f'<path class="line {colour}" d="{path(axes.x(line.x), axes.y(line.smooth))}"/>')
    if len(line.x) <= 12:
        spots = zip(np.atleast_1d(axes.x(line.x)), np.atleast_1d(axes.y(line.y)), strict=True)
        parts += [
            f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            for x, y in spots
            if np.isfinite(y)
        ]
    return "".join(parts)


def path(x: np.ndarray | float, y: np.ndarray | float) -> str:
    """SVG path through the points (N,); it lifts the pen where y is not finite."""
    steps, down = [], False
    for px, py in zip(np.atleast_1d(x), np.atleast_1d(y), strict=True):
        if not np.isfinite(py):
            down = False
            continue
        steps.append(f"{'L' if down else 'M'}{px:.1f} {py:.1f}")
        down = True
    return "".join(steps)


def _band(line: Line, axes: Axes) -> str:
    assert line.low is not None and line.high is not None
    known = np.isfinite(line.low) & np.isfinite(line.high)
    if not known.any():
        return ""
    x = axes.x(line.x[known])
    there = path(x, axes.y(line.high[known]))
    back = path(np.asarray(x)[::-1], np.asarray(axes.y(line.low[known]))[::-1])
    return f"{there}L{back[1:]}Z"


def _legend(lines: Sequence[Line]) -> str:
    """Names of the lines; a line alone is named by the heading."""
    keys = "".join(
        f'<li><span class="key s{place % len(COLOURS)}"></span>{escape(line.name)}</li>'
        for place, line in enumerate(lines)
        if len(lines) > 1
    )
    window = max(line.window for line in lines)
    mean = f'<li class="about">bold: mean over {window} points</li>' if window > 1 else ""
    return f'<ul class="legend">{keys}{mean}</ul>' if keys or mean else ""


def _hover(lines: Sequence[Line], axes: Axes, head: Series) -> dict[str, Any]:
    """Points in SVG coordinates beside their values, so that the script needs no axes of its own."""
    return {
        "x_label": head.x_label, "unit": head.unit, "top": TOP, "bottom": HEIGHT - BOTTOM, "width": WIDTH,
        "lines": [
            {
                "name": line.name,
                "x": [round(float(value), 6) for value in line.x],
                "px": [round(float(value), 1) for value in np.atleast_1d(axes.x(line.x))],
                "y": [_finite(value) for value in line.y],
                "py": [_finite(value) for value in np.atleast_1d(axes.y(line.smooth))],
            }
            for line in lines
        ],
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None
