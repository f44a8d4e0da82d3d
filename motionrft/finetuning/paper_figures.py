"""The figures of the MotionRFT article on a comparison's own measurements: what the article shows, what this run shows.

Figures 4 to 6 are diagnostics of the untuned generator, 9 to 11 what the runs wrote down, 14 and 15 need a reward
that `refine-spl` refined. Where the article prints no number, its words stand beside the run's number. The first method
compared is the one whose part EasyTune has in the article.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from motionrft.evaluation.catalogue import metric_of
from motionrft.evaluation.result import EvaluationResult
from motionrft.report.content import Figure, Series

MIB = 2**20
WINDOW = 0.1
"""Share of a run whose mean is its beginning, or its end."""
NEAR = 0.9
_TOPS = (1, 2, 3, 5, 10)


@dataclass(frozen=True)
class Measured:
    """A method's run: its metrics lines, one an update, and its evaluation after tuning."""

    name: str
    lines: Sequence[Mapping[str, Any]]
    after: EvaluationResult | None = None

    def mean(self, key: str, late: bool) -> float:
        """Mean of a metric over the first or the last tenth of the run; NaN where it was never written."""
        values = [float(line[key]) for line in self.lines if line.get(key) is not None]
        if not values:
            return math.nan
        count = max(1, round(WINDOW * len(values)))
        return statistics.fmean(values[-count:] if late else values[:count])

    @property
    def seconds(self) -> float:
        """Of an update."""
        return statistics.fmean(line["seconds"] for line in self.lines) if self.lines else math.nan

    @property
    def reward(self) -> float:
        """Of the last tenth: the semantic term, which the article plots, or all where that is not rewarded."""
        semantic = self.mean("reward/semantic", late=True)
        return self.mean("reward", late=True) if math.isnan(semantic) else semantic

    @property
    def held(self) -> list[float]:
        """MiB held for backward, an update."""
        return [line["graph_bytes"] / MIB for line in self.lines]


def of_diagnostics(charts: Mapping[str, Sequence[Series]], first: str) -> list[Figure]:
    """Figures 4, 5 and 6 of those of the charts `gradients`, `similarity` and `memory` that were drawn
    (`motionrft.finetuning.diagnostics`).
    """
    figures = []
    if charts.get("gradients"):
        chain, alone = (line.y for line in charts["gradients"])
        shows = "gradient that reaches a step through all later ones, over that of the step judged alone"
        paper = "vanishes towards the noisy steps (no numbers)"
        middle = len(chain) // 2
        here = f"{_ratio(chain[0], alone[0])} at the noisiest step, {_ratio(chain[middle], alone[middle])} half-way"
        figures.append(Figure("4", shows, paper, here))
    if charts.get("similarity"):
        state, clean = (line.y for line in charts["similarity"])
        shows = (
            f"share of the steps after which a motion is like the finished one (similarity above {NEAR:g})"
        )
        paper = "clean predictions come near long before the states do (no numbers)"
        here = f"{_reached(clean):.0%} for clean predictions, {_reached(state):.0%} for states"
        figures.append(Figure("5", shows, paper, here))
    if charts.get("memory"):
        steps = charts["memory"][0].x
        grown = {line.name: line.y[-1] / line.y[0] for line in charts["memory"]}
        most = max(grown, key=lambda name: grown[name])
        told = dict.fromkeys(name for name in (first, most) if name in grown)
        shows = f"bytes held for backward at {steps[-1]:g} steps, over those at {steps[0]:g}"
        paper = "EasyTune flat; DRaFT-50 over DRaFT-10 1.95 (memory beyond sampling)"
        figures.append(Figure("6", shows, paper, ", ".join(f"{name} {grown[name]:.2f}" for name in told)))
    return figures


def of_runs(found: Sequence[Measured]) -> list[Figure]:
    """Figures 9, 10 and 11 of the runs, the first of which is compared with the others."""
    first, *others = found
    peaks = {run.name: max(run.held, default=math.nan) for run in found}
    largest = max(peaks, key=lambda name: peaks[name])
    average = statistics.fmean(first.held) if first.held else math.nan
    slower = [f"{run.name} {run.seconds / first.seconds:.1f}" for run in others]
    ends = {run.name: run.reward for run in found}
    figures = [
        Figure(
            "9",
            f"{first.name}: mean memory for backward over its peak, and its peak over the largest",
            "high average, low peak: 6.89 GB beyond sampling, .31 of DRaFT-50's",
            f"{average / peaks[first.name]:.2f} of its peak, {peaks[first.name] / peaks[largest]:.2f} of {largest}'s",
        ),
        Figure(
            "10",
            "time of an update, of the others over that of the first",
            "1.47 s for EasyTune, the others 3 to 4 times as long",
            f"{first.seconds:.2f} s for {first.name}; " + ", ".join(slower),
        ),
        Figure(
            "10",
            "semantic reward of the prompts tuned on, mean of the last tenth",
            "EasyTune alone passes .80 and .85",
            ", ".join(f"{name} {value:.3f}" for name, value in ends.items()),
        ),
    ]
    moved = [
        f"{term} {first.mean(key, late=False):.4g} to {first.mean(key, late=True):.4g}"
        for term, key in (("preference", "reward/preference"), ("authenticity", "reward/authenticity"))
        if not math.isnan(first.mean(key, late=True))
    ]
    if moved:
        paper = "preference about -11 to -8 (another scale), authenticity steady"
        figures.append(Figure("11", f"{first.name}: two terms, first tenth to last", paper, ", ".join(moved)))
    return figures


def of_refinement(
    about: Mapping[str, Any], plain: EvaluationResult | None, refined: EvaluationResult | None
) -> list[Figure]:
    """Figures 14 and 15: generation tuned with a reward before and after SPL, and what SPL did to its retrieval.

    Args:
        about: of the refined reward, which `refine-spl` has written its recalls into.
        plain, refined: evaluations of the generators tuned with the one and the other reward.
    """
    figures = []
    if plain is not None and refined is not None:
        shared = [name for name in ("label_r1", "raw_r1", "fid", "mm_dist") if name in plain.metrics]
        texts = [
            f"{metric_of(name).label} {plain.mean(name, False):.3f} to {refined.mean(name, False):.3f}"
            for name in shared
        ]
        shows = "generation tuned with the reward, and with the refined one"
        figures.append(Figure("14", shows, "better (no numbers)", ", ".join(texts)))
    before, after = about.get("recall_before"), about.get("recall")
    if before and after:
        moved = []
        for top in (3, 5, 10):
            old, new = _recall(before, top), _recall(after, top)
            moved.append(f"R@{top} {old:.2f} to {new:.2f} ({new - old:+.2f})")
        paper = (
            "R@3 87.44 to 88.66 (+1.22), R@5 91.97 to 92.81 (+.84), R@10 96.28 to 96.75 (+.47) on HumanML3D"
        )
        shows = "text finds motion among 32, validation split, mean over representations"
        figures.append(Figure("15", shows, paper, ", ".join(moved)))
    return figures


def retrieval(about: Mapping[str, Any]) -> list[Series]:
    """Figure 15 as lines: recalls against how many candidates count, before and after SPL."""
    lines = {"before SPL": about.get("recall_before"), "after SPL": about.get("recall")}
    chart = "Text finds motion among 32 (Figure 15)"
    return [
        Series(chart, name, _TOPS, [_recall(recalls, top) for top in _TOPS], "%", "k of R@k")
        for name, recalls in lines.items()
        if recalls
    ]


def _recall(recalls: Mapping[str, Mapping[str, Mapping[str, float]]], top: int) -> float:
    """Raw text-to-motion R@top, mean over the representations."""
    return statistics.fmean(protocols["raw"][f"t2m/R{top}"] for protocols in recalls.values())


def _reached(values: Sequence[float] | Any) -> float:
    """Share of the steps that are done when the values pass `NEAR`; 1 where they never do."""
    passed = [place for place, value in enumerate(values, 1) if value > NEAR]
    return (passed[0] if passed else len(values)) / len(values)


def _ratio(above: float, below: float) -> str:
    return f"{above / below:.3g}" if below else "n/a"
