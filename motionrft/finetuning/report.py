"""What a run leaves to look at: report.html and plots/, from the metrics file and two evaluations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionrft.evaluation.generation import Repetition
from motionrft.pictures import write_strip
from motionrft.report.chart_files import write_chart
from motionrft.report.content import Mark, Prompt, Series
from motionrft.report.verdict import Row

PICTURED = 12
"""Prompts that the report shows in motion."""
_CHARTS = {
    "reward": ("Reward", "", False),
    "graph_bytes": ("Bytes held for backward", "MiB", True),
    "grad_norm": ("Gradient norm", "", True),
    "lr": ("Learning rate", "", True),
    "seconds": ("Time an update", "s", True),
    "peak_bytes": ("Peak memory", "MiB", True),
    "reserved_bytes": ("Peak memory", "MiB", True),
}
_WATCHED = {
    "mm_dist": ("MM-Dist on held-out prompts", "", False),
    "jitter": ("Jitter on held-out prompts", "m/s³", True),
    "motion_energy": ("Motion energy on held-out prompts", "m/s", True),
    "events/integrity": ("Events of held-out prompts", "", False),
    "events/temporal": ("Events of held-out prompts", "", False),
    "events/frequency": ("Events of held-out prompts", "", False),
}


@dataclass(frozen=True)
class Pictured:
    """Motions of the pictured items and their rewards, from one repetition.

    marks: of event prompts: what each told, and whether it was seen; the numbers are the judge's scores then.
    """

    texts: list[str]
    joints: list[Any]
    rewards: list[float]
    marks: list[tuple[Mark, ...]] = field(default_factory=list)


def picture(repetition: Repetition, count: int = PICTURED) -> Pictured:
    """Joints (T, J, 3) of evenly spread items."""
    items = torch.linspace(0, len(repetition.drawn.keys) - 1, count).round().long().unique()
    made = repetition.made
    clips = made.clips()
    joints = [clips[item].numpy() for item in items.tolist()]
    texts = [repetition.drawn.captions[i].text for i in items.tolist()]
    rewards = repetition.rewards.get("reward", torch.zeros(len(repetition.drawn.keys)))
    return Pictured(texts, joints, rewards[items].tolist())


def prompts(before: Pictured, after: Pictured) -> list[Prompt]:
    """The same prompts and noise, before and after."""
    pairs = zip(before.texts, before.joints, after.joints, before.rewards, after.rewards, strict=True)
    marks: list[tuple[tuple[Mark, ...], ...]] = [*zip(before.marks, after.marks, strict=True)]
    marks = marks or [()] * len(before.texts)
    return [
        Prompt(text, (a, b), late - early, (early, late), told)
        for (text, a, b, early, late), told in zip(pairs, marks, strict=True)
    ]


def curves(metrics: Sequence[Mapping[str, Any]], looks: Sequence[Mapping[str, float]]) -> list[Series]:
    """Curves over updates of what was optimised, what it cost, and what was watched."""
    found = [_series(key, *_CHARTS[key], metrics) for key in _CHARTS]
    terms = sorted({key for line in metrics for key in line if key.startswith("reward/")})
    found += [_series(key, "Reward", "", False, metrics) for key in terms]
    shares = sorted({key for line in metrics for key in line if key.startswith("share/")})
    found += [_series(key, "Share of each term", "", True, metrics) for key in shares]
    found += [_series(key, *_WATCHED[key], looks) for key in _WATCHED]
    return [series for series in found if len(series.x)]


def plot_name(chart: str) -> str:
    """File name of a chart."""
    return "_".join(chart.lower().replace("-", " ").split()) + ".svg"


def write_plots(folder: Path, series: Sequence[Series]) -> None:
    """One SVG a chart, named after it; the same lines as in the report, to be used elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    for chart in dict.fromkeys(one.chart for one in series):
        write_chart(folder / plot_name(chart), [one for one in series if one.chart == chart])


def write_strips(folder: Path, prompts: Sequence[Prompt], fps: float) -> None:
    """Stills of the three prompts that gained most and of the one that gained least: before above after."""
    ordered = sorted(prompts, key=lambda prompt: -prompt.gain)
    chosen = [(f"best_{place}", prompt) for place, prompt in enumerate(ordered[:3], 1)]
    chosen += [("worst", prompt) for prompt in ordered[3:][-1:]]
    for name, prompt in chosen:
        if all(np.isfinite(motion).all() for motion in prompt.motions):
            labels = [f"{when}{_words(marks)}" for when, marks in zip(("before", "after"), _told(prompt))]
            write_strip(folder / f"{name}.png", prompt.motions, prompt.text, labels, fps)


def _told(prompt: Prompt) -> Sequence[Sequence[Mark]]:
    return prompt.marks or ((), ())


def _words(marks: Sequence[Mark]) -> str:
    """`: bows yes, walks forward no`."""
    said = ", ".join(f"{mark.text} {'yes' if mark.right else 'no'}" for mark in marks)
    return f" ({said})" if said else ""


def memory_words(metrics: Sequence[Mapping[str, Any]]) -> str:
    """The peak over a run: resident on a CPU; on CUDA what the device had allocated, and reserved for it."""
    peak, reserved = (
        max((line[key] for line in metrics if key in line), default=0) / 2**20
        for key in ("peak_bytes", "reserved_bytes")
    )
    return (
        f"{peak:.0f} MiB allocated, {reserved:.0f} MiB reserved" if reserved else f"{peak:.0f} MiB resident"
    )


def shown(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Rows of the console's table: metric, before, after, change, each with its half interval."""
    return [
        (row.metric, *(_text(v) for v in row.values), *(_text(v, True) for v in row.changes)) for row in rows
    ]


def _text(interval: Any, signed: bool = False) -> str:
    if interval is None or math.isnan(interval.mean):
        return "-"
    digits = 1 if abs(interval.mean) >= 20 else 3
    text = f"{interval.mean:+.{digits}f}" if signed else f"{interval.mean:.{digits}f}"
    if interval.low is None or math.isnan(interval.low):
        return text
    return f"{text} ±{(interval.high - interval.low) / 2:.{digits}f}"


def _series(key: str, chart: str, unit: str, from_zero: bool, lines: Sequence[Mapping[str, Any]]) -> Series:
    scale = 2**20 if unit == "MiB" else 1
    points = [(line["update"], line[key] / scale) for line in lines if line.get(key) is not None]
    name = key.removeprefix("reward/").removeprefix("share/").removeprefix("events/")
    return Series(chart, name, [x for x, _ in points], [y for _, y in points], unit, from_zero=from_zero)
