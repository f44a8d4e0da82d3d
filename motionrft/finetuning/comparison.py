"""Several methods from the same start with the same budget: which one wins on this generator and reward."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.evaluation.catalogue import metric_of
from motionrft.evaluation.result import EvaluationResult, compare
from motionrft.evaluation.tables import latex, markdown, protocol_of
from motionrft.finetuning import report
from motionrft.finetuning.diagnostics import gradients, memory, similarity
from motionrft.finetuning.loading import generator_kind
from motionrft.finetuning.paper_figures import Measured, of_diagnostics, of_refinement, of_runs, retrieval
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import FinetuneRun, finetune_together
from motionrft.finetuning.session import Finetuned, FinetuneSession
from motionrft.preferences.scoring import KINDS
from motionrft.report.content import Figure, ReportData, Series
from motionrft.report.page import write_report
from motionrft.report.verdict import Row
from motionrft.reward.folder import load_motionreward
from motionrft.training.atomic import write_text
from motionrft.training.distribution import Distribution
from motionrft.training.lines import read_lines
from motionrft.training.run import METRICS, PRESET

MIB = 2**20
_PRECISION = {"label": ("label_r1", "label_r2", "label_r3"), "raw": ("raw_r1", "raw_r2", "raw_r3")}
"""R-Precision by protocol. Publications print raw; where kinds of motion are labelled, coin flips bound that."""
_EVENTS = ("events/mean", *(f"events/{kind}" for kind in KINDS))
_METRICS = (*_EVENTS, "fid", "mm_dist", "diversity", "reward", "jitter")
_STEPS = (10, 25, 50)
"""Of Figure 6: a few numbers of denoising steps, up to the published one."""
_COST = ("updates", "seconds", "MiB for backward", "peak MiB")


@dataclass(frozen=True)
class Compared:
    """One method's run: its result, and its metrics lines."""

    name: str
    done: Finetuned
    metrics: list[dict[str, Any]]

    @property
    def cost(self) -> tuple[float, ...]:
        """Updates, seconds of tuning, MiB held for backward, MiB at the peak."""
        graph = max((line["graph_bytes"] for line in self.metrics), default=math.nan)
        peak = max((line["peak_bytes"] for line in self.metrics), default=math.nan)
        return (self.done.outcome.step, self.done.outcome.seconds, graph / MIB, peak / MIB)


def compare_methods(preset: FinetunePreset, session: FinetuneSession) -> list[Compared]:
    """Tune with every method of `preset.compare`, each in a folder of its own, and write what they have in
    common.

    Raises: as `motionrft.finetuning.run.finetune`, for the first method that cannot run.
    """
    tokens = generator_kind(preset.generator) == "tokens"
    variants = preset.variants(tokens=tokens)
    if tokens and preset.figures.draw:
        raise UserError("figures.draw: the article's figures are of denoising steps; motion tokens have none")
    refined = preset.figures.refined
    about = None if refined is None else load_motionreward(Path(refined)).about  # before hours are spent
    with Distribution.join(session.device) as company:
        company.first(lambda: _begin(preset, session.out))
        found = []
        for name, variant in variants.items():
            out = session.out / name
            resume = session.resume and out.is_dir()
            own = replace(session, out=out, before=session.out / "before", resume=resume)
            done = finetune_together(variant, own, company)
            found.append(Compared(name, done, read_lines(out / METRICS)))
        drawn = _figures(preset, variants, session, company, found, about)
        company.first(lambda: _write(preset, session.out, found, *drawn))
    return found


def _figures(
    preset: FinetunePreset,
    variants: Mapping[str, FinetunePreset],
    session: FinetuneSession,
    company: Distribution,
    found: Sequence[Compared],
    about: Mapping[str, Any] | None,
) -> tuple[list[Figure], list[Series]]:
    """The article's figures where the preset wants them, and their curves; the second reward is tuned with here."""
    figures: list[Figure] = []
    series: list[Series] = []
    first, settings = found[0], preset.figures
    if settings.draw:
        tuned = company.first(lambda: FinetuneRun(variants[first.name], session))
        if tuned is not None:
            charts = {"gradients": gradients(tuned), "memory": memory(tuned, steps=_STEPS, names=variants)}
            if preset.weights.get("similarity"):
                charts["similarity"] = similarity(tuned)
            figures += of_diagnostics(charts, first.name)
            series += [line for lines in charts.values() for line in lines]
        figures += of_runs([Measured(one.name, one.metrics) for one in found])
        series += _terms(first)
    if about is not None:
        name = f"{first.name}-refined"
        variant = FinetunePreset.of({**variants[first.name].plain(), "reward": settings.refined}, name)
        out = session.out / name
        own = replace(session, out=out, resume=session.resume and out.is_dir())
        done = finetune_together(variant, own, company)
        results = [one.results[1] if one.results else None for one in (first.done, done)]
        figures += of_refinement(about, *results)
        series += retrieval(about)
    return figures, series


def _terms(one: Compared) -> list[Series]:
    """Preference and authenticity over a run's updates (Figure 11), each on axes of its own."""
    lines = [(number, line) for number, line in enumerate(one.metrics, 1)]
    found = []
    for term in ("preference", "authenticity"):
        points = [(number, line[f"reward/{term}"]) for number, line in lines if f"reward/{term}" in line]
        if points:
            xs, ys = zip(*points, strict=True)
            found.append(Series(f"{term.capitalize()} over {one.name}'s updates", term, xs, ys))
    return found


def _begin(preset: FinetunePreset, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PRESET, preset.to_yaml())


def table(found: Sequence[Compared]) -> tuple[list[str], list[list[Any]]]:
    """The layout of the paper's Table V, with time and memory: header and rows, the real motions and the
    start first. The header says which R-Precision it is; `protocol` says the rest.
    """
    results = [one.done.results for one in found if one.done.results]
    columns = _columns(results[0][0]) if results else tuple(name for name in _METRICS if name not in _EVENTS)
    header = ["method", *(metric_of(name).label for name in columns), *_COST]
    rows: list[list[Any]] = []
    if results:
        before, blank = results[0][0], [None] * len(_COST)
        real, start = (_numbers(before, columns, own) for own in (True, False))
        rows = [["real", *real, *blank], ["before", *start, *blank]]
    for one in found:
        after = _numbers(one.done.results[1], columns, False) if one.done.results else [None] * len(columns)
        rows.append([one.name, *after, *one.cost])
    return header, rows


def protocol(found: Sequence[Compared]) -> str:
    """How a comparison's numbers were made, for its heading."""
    results = [one.done.results for one in found if one.done.results]
    return protocol_of(results[0][0]) if results else "nothing was evaluated"


def _columns(result: EvaluationResult) -> tuple[str, ...]:
    precision = next((names for names in _PRECISION.values() if names[0] in result.metrics), ())
    return tuple(name for name in (*precision, *_METRICS) if name in result.metrics or name in result.real)


def curves(found: Sequence[Compared]) -> list[Series]:
    """Reward and memory against tuning time, one line a method (the paper's figures 10 and 9), and bytes
    (6).
    """
    series = []
    for one in found:
        seconds = list(accumulate(line["seconds"] for line in one.metrics))
        for chart, key, scale, unit in (
            ("Reward against tuning time", "reward", 1, ""),
            ("Bytes held for backward against tuning time", "graph_bytes", MIB, "MiB"),
            ("Peak memory against tuning time", "peak_bytes", MIB, "MiB"),
        ):
            points = [
                (s, line[key] / scale) for s, line in zip(seconds, one.metrics, strict=True) if line.get(key)
            ]
            if points:
                xs, ys = zip(*points, strict=True)
                series.append(Series(chart, one.name, xs, ys, unit, "seconds", from_zero=unit == "MiB"))
    return series


def _write(
    preset: FinetunePreset,
    out: Path,
    found: Sequence[Compared],
    figures: Sequence[Figure],
    further: Sequence[Series],
) -> None:
    series = [*curves(found), *further]
    results = [one.done.results for one in found if one.done.results]
    judged = [(one.name, one.done.results[1]) for one in found if one.done.results]
    rows: list[Row] = []
    if results:
        named = [replace(after, subject={**after.subject, "name": name}) for name, after in judged]
        rows = side_by_side(results[0][0], named)
        write_text(out / "table.md", markdown([results[0][0], *named]))
        write_text(out / "table.tex", latex([results[0][0], *named]))
    cost = {one.name: "{:.0f} updates, {:.0f} s, {:.1f} MiB for backward".format(*one.cost) for one in found}
    write_report(
        out / "report.html",
        ReportData(
            title=f"Methods compared: {protocol(found)}",
            columns=("before", *(one.name for one in found)),
            rows=rows,
            series=series,
            figures=figures,
            cost=cost,
            command=f"motionrft finetune --preset {out.name}/{PRESET} --compare --out NEW",
            notes=[f"Equal budget: {_budget(preset)}; the same start, prompts, noise and held-out items."],
        ),
    )
    report.write_plots(out / "plots", series)


def side_by_side(before: EvaluationResult, after: Sequence[EvaluationResult]) -> list[Row]:
    """One row a metric, one column a method, differences from the start paired by seed."""
    tables = [compare(before, one) for one in after]
    rows = []
    for versions in zip(*tables, strict=True):
        first = versions[0]
        values = (first.values[0], *(row.values[1] for row in versions))
        rows.append(replace(first, values=values, changes=tuple(row.changes[0] for row in versions)))
    return rows


def _numbers(result: EvaluationResult, columns: Sequence[str], real: bool) -> list[float | None]:
    values: Mapping[str, Sequence[float]] = result.real if real else result.metrics
    return [result.mean(name, real) if name in values else None for name in columns]


def _budget(preset: FinetunePreset) -> str:
    limits = [f"{preset.updates} updates"] if preset.updates else []
    limits += [f"{preset.epochs:g} epochs"] if preset.epochs else []
    return " or ".join(limits + ([f"{preset.time_limit:g} seconds"] if preset.time_limit else []))
