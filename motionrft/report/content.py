"""What a report shows, filled in by those who measured it; `motionrft.report.page` draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from motionrft.report.verdict import Row


@dataclass(frozen=True)
class Series:
    """One line of a chart; series with the same `chart` share axes.

    Attributes:
        chart: the chart's heading, which says what is plotted ("Reward", "Bytes held for backward").
        name: the line's name in the legend.
        x, y: the points, equally long; NaN breaks the line.
        unit: of y ("MiB", "s", "m/s"), may be empty.
        x_label: what x counts.
        low, high: optional 95 % band around y.
        from_zero: start the axis at 0, so that a flat line looks flat (memory, time).
    """

    chart: str
    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    unit: str = ""
    x_label: str = "update"
    low: Sequence[float] | np.ndarray | None = None
    high: Sequence[float] | np.ndarray | None = None
    from_zero: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that a prompt tells ("bows", "in this order"), and whether a motion shows it."""

    text: str
    right: bool


@dataclass(frozen=True)
class Prompt:
    """One prompt with the motion that each column made of it.

    Attributes:
        text: the prompt.
        motions: one (T, 22, 3) array a column, metres, Y up; T may differ.
        gain: last column minus first, by the number that `gain_name` of the report names; sorts the prompts.
            Where all gains are 0 nothing was measured, and the page shows none.
        scores: that number for each column, may be empty.
        marks: for each column what the prompt tells and whether that motion shows it, may be empty.
    """

    text: str
    motions: tuple[np.ndarray, ...]
    gain: float
    scores: tuple[float, ...] = ()
    marks: tuple[tuple[Mark, ...], ...] = ()


@dataclass(frozen=True)
class Figure:
    """A publication's figure: its number, what it shows, what it says there, and what was measured here."""

    number: str
    about: str
    paper: str
    here: str


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows; only `title` is required, and a section without data is left out.

    Attributes:
        title: the run's name.
        columns: what is compared; the first is the reference.
        rows: the table, in reading order; the verdict is on these.
        further: more tables by name (another guidance scale, say), folded on the page, each with its own verdict.
        series: curves over updates, grouped by their `chart`.
        figures: of a publication, beside what this run shows.
        prompts: shown in 3D side by side; a dozen is plenty (about 35 kB a motion of 100 frames on the page).
        gain_name: what `Prompt.gain` measures.
        same_noise: whether all columns of a prompt were sampled from the same noise; the page then says so.
        cost: what was paid, as short texts ("time" -> "4 min 10 s", "peak memory" -> "612 MiB").
        command: the command that makes this result again.
        environment: versions, device, hashes.
        notes: sentences the reader must know (warnings, protocol, data licence).
        subject: how sentences name what was done.
        fps: of every motion.
    """

    title: str
    columns: tuple[str, ...] = ("before", "after")
    rows: Sequence[Row] = ()
    further: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    series: Sequence[Series] = ()
    figures: Sequence[Figure] = ()
    prompts: Sequence[Prompt] = ()
    gain_name: str = "reward"
    same_noise: bool = False
    cost: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    subject: str = "The fine-tune"
    fps: float = 20.0
