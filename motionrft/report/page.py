"""report.html: one self-contained page that says within five seconds whether a fine-tune helped, where, and at what cost.

Verdict first, then the table, the motions, the curves, and how to make it again. Nothing in here evaluates anything:
numbers come in, a page comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from motionrft import __version__
from motionrft.pictures.body import check_joints
from motionrft.pictures.camera import framing
from motionrft.pictures.page import (
    STAGE_SCRIPTS,
    asset,
    clip_data,
    fill,
    limbs_data,
    page,
    scene_data,
    themes_data,
)
from motionrft.pictures.video import follow
from motionrft.report.charts import line_chart, path
from motionrft.report.content import Prompt, ReportData, Series
from motionrft.report.curves import foot_sliding, jerk
from motionrft.report.figures import figures_html
from motionrft.report.numbers import digits_of, number, percent
from motionrft.report.table import KEY, table_html
from motionrft.report.verdict import Row, Verdict, verdict
from motionrft.training import atomic

LEVELS = {
    "better": "It helped",
    "mixed": "Mixed",
    "worse": "It hurt",
    "unclear": "No clear effect",
    "none": "Not compared",
}


def write_report(path: str | Path, data: ReportData) -> Path:
    """Write the page to `path` (atomically, UTF-8, no network needed to read it) and return the path."""
    atomic.write_text(path, report_html(data))
    return Path(path)


def report_html(data: ReportData) -> str:
    """The whole page as text. Raises ValueError when the columns of rows or prompts do not fit `data.columns`."""
    _check(data)
    data = _without_broken_motions(data)
    charts, hover = _charts(data.series)
    parts = [
        _verdicts(data),
        _tables(data),
        _prompts(data),
        figures_html(data.figures),
        charts,
        _notes(data),
        _remake(data),
    ]
    body = fill(
        asset("report.html"),
        title=escape(data.title),
        sections="\n".join(part for part in parts if part),
        made=f"motionrft {escape(__version__)}",
    )
    payload = {
        "bodies": limbs_data(),
        "themes": themes_data(),
        "charts": hover,
        "prompts": _prompt_data(data),
    }
    scripts = (*STAGE_SCRIPTS, "charts.js", "report.js")
    return page(f"{data.title} · motionrft", body, payload, ("base.css", "report.css"), scripts)


def _check(data: ReportData) -> None:
    for row in (*data.rows, *(row for rows in data.further.values() for row in rows)):
        if len(row.values) != len(data.columns):
            raise ValueError(
                f"row {row.metric!r} has {len(row.values)} values for the columns {data.columns}"
            )
    for prompt in data.prompts:
        if len(prompt.motions) != len(data.columns):
            raise ValueError(
                f"prompt {prompt.text!r} has {len(prompt.motions)} motions for the columns {data.columns}"
            )
        if prompt.marks and len(prompt.marks) != len(data.columns):
            raise ValueError(
                f"prompt {prompt.text!r} has marks of {len(prompt.marks)} for the columns {data.columns}"
            )


def _without_broken_motions(data: ReportData) -> ReportData:
    """A model that fell apart must not take its own report along: its motions are named instead of drawn."""
    broken = [
        prompt for prompt in data.prompts if not all(np.isfinite(motion).all() for motion in prompt.motions)
    ]
    if not broken:
        return data
    texts = ", ".join(repr(prompt.text) for prompt in broken)
    note = f"Not shown, because a motion holds NaN or infinity: {texts}."
    kept = [prompt for prompt in data.prompts if not any(prompt is one for one in broken)]
    return replace(data, prompts=kept, notes=[*data.notes, note])


def _verdicts(data: ReportData) -> str:
    """The top of the page: one block a compared column, and what it cost."""
    blocks = []
    several = len(data.columns) > 2
    for column in range(1, len(data.columns)):
        subject = data.columns[column] if several else data.subject
        blocks.append(_verdict(verdict(data.rows, column, subject), column, data))
    cost = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in data.cost.items()
    )
    paid = f'<div class="cost"><h2>At what cost</h2><dl>{cost}</dl></div>' if cost else ""
    inside = "".join(blocks) + paid
    return f'<section class="top-line{" several" if several else ""}">{inside}</section>' if inside else ""


def _verdict(found: Verdict, column: int, data: ReportData) -> str:
    moved = [row for row in data.rows if row.headline or row in found.better or row in found.worse]
    # What decides comes first, moved or not; then what was paid; a sixth good number can wait for the table.
    moved.sort(key=lambda row: (not row.headline, row not in found.worse, row.role != "reward"))
    chips = "".join(_chip(row, column) for row in moved[:6])
    where = f'<ul class="chips">{chips}</ul>' if chips else ""
    return (
        f'<div class="verdict {found.level}"><p class="word">{LEVELS[found.level]}</p>'
        f'<p class="sentence">{escape(found.sentence)}</p>{where}</div>'
    )


def _chip(row: Row, column: int) -> str:
    digits = digits_of(row)
    first, other = row.values[0], row.values[column]
    relative = row.relative(column)
    if first is None or other is None:
        return ""
    share = f"<small>{percent(relative)}</small>" if relative is not None else ""
    unit = f" {escape(row.unit)}" if row.unit else ""
    way = f"{number(first.mean, digits)} → <b>{number(other.mean, digits)}</b>{unit}"
    return f'<li class="{row.sign(column)}"><span>{escape(row.metric)}</span><span class="way">{way}</span>{share}</li>'


def _tables(data: ReportData) -> str:
    """The table, and further ones folded under a line that says their verdict."""
    if not data.rows:
        return ""
    folded = ""
    for name, rows in data.further.items():
        found = verdict(rows, len(data.columns) - 1, data.subject)
        said = f' <b class="{found.level}">{LEVELS[found.level]}</b>' if len(data.columns) > 1 else ""
        folded += (
            f"<details><summary>{escape(name)}{said}</summary>{table_html(rows, data.columns)}</details>"
        )
    compared = len(data.columns) > 1
    key = KEY if compared else ""
    title = "Where" if compared else "Numbers"
    return f"<section><h2>{title}</h2>{table_html(data.rows, data.columns)}{key}{folded}</section>"


def _prompts(data: ReportData) -> str:
    if not data.prompts:
        return ""
    about = [f"{len(data.prompts)} prompts."] if len(data.prompts) > 1 else []
    about += ["Every column starts from the same noise."] if data.same_noise else []
    if any(prompt.marks for prompt in data.prompts):
        about.append("✓ and ✗: what the prompt tells, and whether the judge of events sees it.")
    about.append("Drag a figure to turn it.")
    order = fill(asset("order.html"), gain=escape(data.gain_name)) if _ranked(data) else ""
    return fill(asset("prompts.html"), about=" ".join(about), order=order, player=asset("player.html"))


def _ranked(data: ReportData) -> bool:
    """Whether the prompts have gains to be ordered by."""
    return len(data.columns) > 1 and any(prompt.gain for prompt in data.prompts)


def _prompt_data(data: ReportData) -> list[dict[str, Any]]:
    """Best first; a gain that is not a number goes last."""
    ordered = sorted(data.prompts, key=lambda prompt: -prompt.gain if np.isfinite(prompt.gain) else np.inf)
    return [_one_prompt(prompt, data) for prompt in ordered]


def _one_prompt(prompt: Prompt, data: ReportData) -> dict[str, Any]:
    motions = [check_joints(motion, f"prompt {prompt.text!r}") for motion in prompt.motions]
    scene = framing(motions, [follow(motion[:, 0]) for motion in motions])
    marks = [[{"text": mark.text, "right": mark.right} for mark in told] for told in prompt.marks]
    clips = [clip_data(motion, data.fps, name) for motion, name in zip(motions, data.columns, strict=True)]
    curves = [
        _curve("foot sliding", "m/s", [foot_sliding(motion, data.fps) for motion in motions], 0.3),
        _curve("jerk", "m/s³", [jerk(motion, data.fps) for motion in motions], 50.0),
    ]
    return {
        "text": prompt.text,
        "gain": prompt.gain if np.isfinite(prompt.gain) else 0.0,
        "gain_text": number(prompt.gain, 3, signed=True) if _ranked(data) else "",
        "scores": [number(score, 3) for score in prompt.scores],
        "marks": marks,
        "scene": scene_data(scene),
        "clips": clips,
        "curves": curves,
    }


def _curve(name: str, unit: str, values: Sequence[np.ndarray], least: float) -> dict[str, Any]:
    """Curves of all columns in one 100 x 30 box; the scale never shrinks below `least`, or calm would look wild."""
    top = max(least, *(float(one.max()) for one in values))
    longest = max(len(one) for one in values)
    paths = [path(np.arange(len(one)) * 100.0 / max(longest - 1, 1), 29 - 28 * one / top) for one in values]
    return {"name": name, "unit": unit, "paths": paths, "top": number(top, 1 if top < 10 else 0)}


def _charts(series: Sequence[Series]) -> tuple[str, list[dict[str, Any]]]:
    groups: dict[str, list[Series]] = {}
    for one in series:
        if len(one.x):
            groups.setdefault(one.chart, []).append(one)
    drawn = [line_chart(group, place) for place, group in enumerate(groups.values())]
    if not drawn:
        return "", []
    figures = "".join(html for html, _ in drawn)
    return f'<section><h2>How it went</h2><div class="charts">{figures}</div></section>', [
        data for _, data in drawn
    ]


def _notes(data: ReportData) -> str:
    if not data.notes:
        return ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in data.notes)
    return f'<section><h2>To know</h2><ul class="notes">{notes}</ul></section>'


def _remake(data: ReportData) -> str:
    """The command and the environment it ran in."""
    if not data.command and not data.environment:
        return ""
    command = ""
    if data.command:
        button = '<button class="copy" type="button">Copy</button>'
        command = f'<div class="command"><pre><code>{escape(data.command)}</code></pre>{button}</div>'
    facts = "".join(
        f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in data.environment.items()
    )
    table = f'<div class="scroll"><table class="facts">{facts}</table></div>' if facts else ""
    return f"<section><h2>Make it again</h2>{command}{table}</section>"
