"""The report's table: metrics by what they are to the run, coloured only where a change is beyond chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from motionrft.intervals import Interval
from motionrft.report.numbers import digits_of, digits_of_change, number, percent, spread, vanishes
from motionrft.report.verdict import Role, Row

ROLES: Mapping[Role, tuple[str, str]] = {
    "judge": ("Independent judge", "measured by what the training never saw"),
    "physics": ("Physics", "how real the movement is"),
    "reward": ("Reward", "what the training optimised; it may rise without the motions getting better"),
}
MANY = 6  # rows of one kind from which those that do not carry the verdict are folded
ARROWS = {"up": "↑", "down": "↓", "near": "→ real", "none": ""}
KEY = (
    '<p class="key-line"><span class="better">better</span> and <span class="worse">worse</span> only where the '
    "95&nbsp;% interval of the change excludes zero; everything else may be chance.</p>"
)


def table_html(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The table; two columns get a third with the change and its interval drawn, more carry it inside."""
    real = any(row.reference is not None for row in rows)
    heads = ["metric", *(["real"] if real else []), *columns]
    heads += ["change, 95 % interval"] if len(columns) == 2 else []
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    head += '<th class="plot" aria-hidden="true"></th>' if len(columns) == 2 else ""
    groups = [_group(role, [row for row in rows if row.role == role], real, columns) for role in ROLES]
    return (
        f'<div class="scroll"><table class="rows" style="--cells: {len(heads) - 1}"><thead><tr>{head}</tr></thead>'
        f"{''.join(groups)}</table></div>"
    )


def _group(role: Role, rows: Sequence[Row], real: bool, columns: Sequence[str]) -> str:
    if not rows:
        return ""
    name, about = ROLES[role]
    extra = (
        [row for row in rows if not row.headline]
        if any(row.headline for row in rows) and len(rows) > MANY
        else []
    )
    more = f'<button class="more-rows" type="button">{len(extra)} more</button>' if extra else ""
    head = (
        f'<tr class="group"><th scope="rowgroup" colspan="20">{name} <small>{about}</small>{more}</th></tr>'
    )
    shown = [_row(row, real, columns, extra=any(row is one for one in extra)) for row in rows]
    return f"<tbody>{head}{''.join(shown)}</tbody>"


def _row(row: Row, real: bool, columns: Sequence[str], extra: bool) -> str:
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
    kind = ' class="extra"' if extra else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


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
        else f'<small class="moved">{_signed(change, digits_of_change(change, digits))}{_said(row.sign(column))}</small>'
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
    digits = digits_of_change(change, digits)
    # A percentage beside a change that shows as zero would contradict it.
    relative = None if vanishes(change.mean, digits) else row.relative()
    share = f' <small class="share">{percent(relative)}</small>' if relative is not None else ""
    text = f"{_signed(change, digits)}{share}{_said(sign)}"
    return f'<td class="{sign}" data-label="change">{text}</td><td class="plot">{_whisker(change, sign)}</td>'


def _signed(change: Interval, digits: int) -> str:
    width = f" <small>± {number(change.half_width, digits)}</small>" if change.low is not None else ""
    return f"{number(change.mean, digits, signed=True)}{width}"


def _whisker(change: Interval, sign: str) -> str:
    """The interval as a bar about a zero line; each row has its own scale."""
    if change.low is None or change.high is None or not math.isfinite(change.high - change.low):
        return ""
    reach = max(abs(change.low), abs(change.high)) or 1.0
    low, mean, high = (60 + 54 * value / reach for value in (change.low, change.mean, change.high))
    return (
        f'<svg class="whisker {sign}" viewBox="0 0 120 20"><line class="zero" x1="60" x2="60" y1="1" y2="19"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="10" y2="10"/><circle cx="{mean:.1f}" cy="10" r="4"/></svg>'
    )
