"""Lays out report.html: verdict first, then the table, the motions, the curves, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from motionrft import __version__
from motionrft.pictures.body import check_joints
from motionrft.pictures.camera import framing
from motionrft.pictures.charts import line_chart, path
from motionrft.pictures.curves import foot_sliding, jerk
from motionrft.pictures.numbers import digits_of, half, number, percent, spread
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
from motionrft.pictures.report import Prompt, ReportData, Series
from motionrft.pictures.verdict import Interval, Role, Row, Verdict, verdict
from motionrft.pictures.video import follow

ROLES: Mapping[Role, tuple[str, str]] = {
    "judge": ("Independent judge", "measured by models that the training never saw"),
    "physics": ("Physics", "how real the movement is"),
    "reward": ("Reward", "what the training optimised; it may rise without the motions getting better"),
}
LEVELS = {
    "better": "It helped",
    "mixed": "Mixed",
    "worse": "It hurt",
    "unclear": "No clear effect",
    "none": "Not compared",
}
ARROWS = {"up": "↑", "down": "↓", "near": "→ real", "none": ""}


def report_html(data: ReportData) -> str:
    """The whole page as text. Raises ValueError when the columns of rows or prompts do not fit `data.columns`."""
    _check(data)
    charts, hover = _charts(data.series)
    parts = [_verdicts(data), _table(data), _prompts(data), charts, _notes(data), _remake(data)]
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
    for row in data.rows:
        if len(row.values) != len(data.columns):
            raise ValueError(
                f"row {row.metric!r} has {len(row.values)} values for the columns {data.columns}"
            )
    for prompt in data.prompts:
        if len(prompt.motions) != len(data.columns):
            raise ValueError(
                f"prompt {prompt.text!r} has {len(prompt.motions)} motions for the columns {data.columns}"
            )


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
    return f'<section class="top-line{" several" if several else ""}">{"".join(blocks)}{paid}</section>'


def _verdict(found: Verdict, column: int, data: ReportData) -> str:
    shown = [row for row in data.rows if row in found.better or row in found.worse]
    order = {"judge": 0, "physics": 1, "reward": 2}
    shown.sort(key=lambda row: (not row.headline, order[row.role]))
    chips = "".join(_chip(row, column) for row in shown[:6])
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


def _table(data: ReportData) -> str:
    if not data.rows:
        return ""
    real = any(row.reference is not None for row in data.rows)
    pair = len(data.columns) == 2
    heads = ['<th scope="col">metric</th>', *(['<th scope="col">real</th>'] if real else [])]
    heads += [f'<th scope="col">{escape(column)}</th>' for column in data.columns]
    heads += (
        ['<th scope="col">change, 95 % interval</th><th scope="col" class="plot" aria-hidden="true"></th>']
        if pair
        else []
    )
    groups = [
        _group(role, [row for row in data.rows if row.role == role], real, data.columns) for role in ROLES
    ]
    cells = len(data.columns) + pair + real
    return (
        f'<section><h2>Where</h2><div class="scroll"><table class="rows" style="--cells: {cells}"><thead><tr>'
        f"{''.join(heads)}</tr></thead>{''.join(groups)}</table></div>"
        '<p class="key-line"><span class="better">better</span> and <span class="worse">worse</span> only where the '
        "95&nbsp;% interval of the change excludes zero; everything else may be chance.</p></section>"
    )


def _group(role: Role, rows: Sequence[Row], real: bool, columns: Sequence[str]) -> str:
    if not rows:
        return ""
    name, about = ROLES[role]
    head = f'<tr class="group"><th scope="rowgroup" colspan="20">{name} <small>{about}</small></th></tr>'
    return f"<tbody>{head}{''.join(_row(row, real, columns) for row in rows)}</tbody>"


def _row(row: Row, real: bool, columns: Sequence[str]) -> str:
    digits = digits_of(row)
    unit = f" <small>{escape(row.unit)}</small>" if row.unit else ""
    arrow = f' <span class="arrow">{ARROWS[row.good]}</span>' if ARROWS[row.good] else ""
    note = f'<small class="note">{escape(row.note)}</small>' if row.note else ""
    cells = [f'<th scope="row">{escape(row.metric)}{arrow}{unit}{note}</th>']
    if real:
        cells.append(
            f'<td data-label="real">{"" if row.reference is None else number(row.reference, digits)}</td>'
        )
    for column, value in enumerate(row.values):
        cells.append(_cell(row, value, column, digits, columns))
    if len(columns) == 2:
        cells.append(_change(row, digits))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(row: Row, value: Interval | None, column: int, digits: int, columns: Sequence[str]) -> str:
    label = f'data-label="{escape(columns[column], quote=True)}"'
    if value is None:
        return f"<td {label}>–</td>"
    text = f"{number(value.mean, digits)} <small>{spread(value, digits)}</small>"
    if len(columns) == 2 or column == 0:
        return f"<td {label}>{text}</td>"
    change = row.changes[column - 1] if column - 1 < len(row.changes) else None
    moved = (
        ""
        if change is None
        else f'<small class="moved">{_signed(change, digits)}{_said(row.sign(column))}</small>'
    )
    return f'<td class="{row.sign(column)}" {label}>{text}{moved}</td>'


def _said(sign: str) -> str:
    """The colour in words, for those who hear the page or print it in grey."""
    return f'<span class="said">, {sign}</span>' if sign in ("better", "worse") else ""


def _change(row: Row, digits: int) -> str:
    change = row.changes[0] if row.changes else None
    if change is None:
        return '<td data-label="change">–</td><td class="plot"></td>'
    sign = row.sign()
    relative = row.relative()
    share = f' <small class="share">{percent(relative)}</small>' if relative is not None else ""
    text = f"{_signed(change, digits)}{share}{_said(sign)}"
    return f'<td class="{sign}" data-label="change">{text}</td><td class="plot">{_whisker(change, sign)}</td>'


def _signed(change: Interval, digits: int) -> str:
    width = f" <small>± {number(half(change), digits)}</small>" if change.low is not None else ""
    return f"{number(change.mean, digits, signed=True)}{width}"


def _whisker(change: Interval, sign: str) -> str:
    """The interval as a bar about a zero line; each row has its own scale."""
    if change.low is None or change.high is None:
        return ""
    reach = max(abs(change.low), abs(change.high)) or 1.0
    low, mean, high = (60 + 54 * value / reach for value in (change.low, change.mean, change.high))
    return (
        f'<svg class="whisker {sign}" viewBox="0 0 120 20"><line class="zero" x1="60" x2="60" y1="1" y2="19"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="10" y2="10"/><circle cx="{mean:.1f}" cy="10" r="4"/></svg>'
    )


def _prompts(data: ReportData) -> str:
    if not data.prompts:
        return ""
    return fill(
        asset("prompts.html"),
        gain=escape(data.gain_name),
        count=str(len(data.prompts)),
        player=asset("player.html"),
    )


def _prompt_data(data: ReportData) -> list[dict[str, Any]]:
    return [_one_prompt(prompt, data) for prompt in sorted(data.prompts, key=lambda prompt: -prompt.gain)]


def _one_prompt(prompt: Prompt, data: ReportData) -> dict[str, Any]:
    motions = [check_joints(motion, f"prompt {prompt.text!r}") for motion in prompt.motions]
    scene = framing(motions, [follow(motion[:, 0]) for motion in motions])
    clips = [clip_data(motion, data.fps, name) for motion, name in zip(motions, data.columns, strict=True)]
    curves = [
        _curve("foot sliding", "m/s", [foot_sliding(motion, data.fps) for motion in motions], 0.3),
        _curve("jerk", "m/s³", [jerk(motion, data.fps) for motion in motions], 50.0),
    ]
    scores = [number(score, 3) for score in prompt.scores]
    gain = number(prompt.gain, 3, signed=True)
    return {
        "text": prompt.text, "gain": prompt.gain, "gain_text": gain, "scores": scores, "scene": scene_data(scene),
        "clips": clips, "curves": curves,
    }  # fmt: skip


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
