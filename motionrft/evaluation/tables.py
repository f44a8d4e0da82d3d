"""Results as tables: rows of metrics for the shell, rows of methods for papers (LaTeX, Markdown)."""

import math
import re
from collections.abc import Sequence

from motionrft.evaluation.catalogue import ARROWS, DIRECTIONS, PROTOCOLS, in_order, metric_of, recall_name
from motionrft.evaluation.result import EvaluationResult
from motionrft.plurals import counted
from motionrft.report.escaping import latex_text, markdown_text, one_line

PAPER = (
    *("raw_r1", "raw_r2", "raw_r3", "label_r1", "label_r3", "distinct_r1", "distinct_r3"),
    *("fid", "mm_dist", "diversity", "multimodality"),
)
"""Columns of a generation table, as papers order them; what was not measured is left out."""
EVENTS = ("events/mean", "events/integrity", "events/temporal", "events/frequency")
"""Further columns of it, where the same generator was asked for events."""
REAL = "real motion"
_NUMBER = re.compile(r"-?[\d.]+(\^\{\\pm [\d.]+)?")


def shell_table(results: Sequence[EvaluationResult]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, one row a metric: its name, real motion (where any), every result as `mean ±
    half-width`."""
    if results[0].kind == "retrieval":
        return _retrieval_table(results, " ± ")
    real = next((result for result in results if result.real), None)
    names = in_order(list(dict.fromkeys(name for result in results for name in result.metrics)))
    header = ["metric", *([REAL] if real else []), *(result.subject["name"] for result in results)]
    rows = []
    for name in names:
        metric = metric_of(name)
        title = f"{metric.label} {ARROWS[metric.good]}".strip() + (f" ({metric.unit})" if metric.unit else "")
        row = [title, *([cell(real, name, real=True)] if real else [])]
        rows.append(row + [cell(result, name) for result in results])
    return header, rows


def markdown(results: Sequence[EvaluationResult]) -> str:
    """A Markdown table with one row a method, and the notes below it."""
    header, rows = _paper_table(results, " ± ")
    cells = [[markdown_text(each) for each in line] for line in (header, *rows)]
    lines = [cells[0], ["---"] + ["---:"] * (len(header) - 1), *cells[1:]]
    return (
        "\n".join("| " + " | ".join(line) + " |" for line in lines)
        + "\n\n"
        + "\n".join(markdown_text(note) for note in footnotes(results))
        + "\n"
    )


def latex(results: Sequence[EvaluationResult]) -> str:
    """A booktabs table with one row a method."""
    header, rows = _paper_table(results, "^{\\pm ")
    lines = [
        "% needs \\usepackage{booktabs}",
        *(f"% {one_line(note)}" for note in footnotes(results)),
        f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        "\\toprule",
        " & ".join(latex_text(title) for title in header) + " \\\\",
        "\\midrule",
        *(" & ".join([latex_text(row[0]), *(_math(value) for value in row[1:])]) + " \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def cell(result: EvaluationResult, name: str, real: bool = False, between: str = " ± ") -> str:
    """`mean ± half-width`, the half-width only over several repetitions; a dash where nothing was
    measured."""
    if name not in (result.real if real else result.metrics):
        return "–"
    mean, half = result.interval(name, real)
    digits = metric_of(name).digits
    if not math.isfinite(mean):
        return "–"
    several = len((result.real if real else result.metrics)[name]) > 1
    return f"{mean:.{digits}f}" + (f"{between}{half:.{digits}f}" if several else "")


def protocol_of(result: EvaluationResult) -> str:
    """One line for a table's heading: who judged, which R-Precision, how many items and seeds, sampled with what."""
    parts = [str(result.judge["name"])] if result.judge.get("name") else []
    if any(name.endswith("_r1") for name in result.metrics):
        parts.append(f"R-Precision among {result.protocol.get('candidates')}")
    seeds = counted(len(result.seeds), "seed")
    items = counted(result.data.get("items", 0), "item")
    parts.append(f"{items} of {result.data.get('split')}, {seeds}")
    if (events := result.protocol.get("events")) is not None:
        parts.append(f"{counted(events['prompts'], 'event prompt')}, judged by {events['judge']}")
    if (sampler := result.protocol.get("sampler")) is not None:
        parts.append(f"{sampler}, {result.protocol.get('steps') or 'its own'} steps")
    return "; ".join(parts)


def footnotes(results: Sequence[EvaluationResult]) -> list[str]:
    """What a reader must know of the numbers: who judged, on what, how often."""
    first = results[0]
    judge = first.judge.get("name")
    line = f"{counted(first.data.get('items', 0), 'item')} of {first.data.get('split')}"
    if len(first.seeds) > 1:
        line += f", {len(first.seeds)} repetitions, ± is the 95 % interval over them"
    lines = [f"{line}."]
    if judge:
        lines.append(f"Judge: {judge} ({first.judge['identity'][:12]}).")
    return lines + list(dict.fromkeys(note for result in results for note in result.notes))


def _paper_table(results: Sequence[EvaluationResult], between: str) -> tuple[list[str], list[list[str]]]:
    if results[0].kind == "retrieval":
        return _retrieval_table(results, between)
    measured = {name for result in results for name in result.metrics}
    papers = [name for name in PAPER if name in measured]
    names = papers + [name for name in EVENTS if name in measured] if papers else in_order(list(measured))
    header = [
        "Method",
        *(f"{metric_of(name).label} {ARROWS[metric_of(name).good]}".strip() for name in names),
    ]
    rows = []
    if results[0].real:
        rows.append([REAL.capitalize(), *(cell(results[0], name, True, between) for name in names)])
    rows += [[r.subject["name"], *(cell(r, name, between=between) for name in names)] for r in results]
    return header, rows


def _retrieval_table(results: Sequence[EvaluationResult], between: str) -> tuple[list[str], list[list[str]]]:
    """A row for each method, protocol and direction; a column for each k and the median rank."""
    lines = {tuple(name.split("/")[:2]): None for name in results[0].metrics if name.count("/") == 2}
    ranks = dict.fromkeys(name.split("/")[2] for name in results[0].metrics if name.count("/") == 2)
    header = ["method", "protocol", *(recall_name(rank) for rank in ranks)]
    rows = []
    for result in results:
        for protocol, direction in lines:
            title = f"{PROTOCOLS.get(protocol, protocol)}, {DIRECTIONS[direction]}"
            cells = (cell(result, f"{protocol}/{direction}/{rank}", between=between) for rank in ranks)
            rows.append([result.subject["name"], title, *cells])
    return header, rows


def _math(value: str) -> str:
    found = _NUMBER.fullmatch(value)
    if found is None:
        return latex_text(value)
    return f"${value}}}$" if found[1] else f"${value}$"
