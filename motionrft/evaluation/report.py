"""A result, or a comparison, as data for the report page and the user study."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from motionrft.evaluation.catalogue import in_order, metric_of
from motionrft.evaluation.generation import Repetition
from motionrft.evaluation.result import EvaluationResult, compare
from motionrft.evaluation.tables import footnotes
from motionrft.intervals import Interval
from motionrft.report.content import Prompt, ReportData
from motionrft.report.study import StudyPair
from motionrft.report.verdict import Row
from motionrft.training.seeds import item_seed


@dataclass
class Gallery:
    """Keeps the motions of the first repetition: pass `keep` as the watch of an evaluation.

    motions, scores: by item name; joints (T, 22, 3) in metres, and the reward where one was given.
    """

    captions: dict[str, str] = field(default_factory=dict)
    motions: dict[str, np.ndarray] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    fps: float = 20.0

    def keep(self, repetition: Repetition) -> None:
        """Remember the first repetition."""
        if self.motions:
            return
        made, drawn = repetition.made, repetition.drawn
        self.fps = made.fps
        for key, clip, caption in zip(drawn.keys, made.clips(), drawn.captions, strict=True):
            self.motions[key], self.captions[key] = clip.numpy(), caption.text
        if "reward" in repetition.rewards:
            self.scores = dict(zip(drawn.keys, repetition.rewards["reward"].tolist(), strict=True))


def report_data(
    results: Sequence[EvaluationResult],
    galleries: Sequence[Gallery],
    pictures: int = 12,
    title: str = "Evaluation",
    same_noise: bool = False,
    command: str = "",
    cost: Mapping[str, str] | None = None,
) -> ReportData:
    """The page of one result, or of a reference and what is compared with it.

    Args:
        galleries: of the results, in the same order; may be empty.
        pictures: prompts to show, half with the largest gain and half with the smallest.
        same_noise: whether the motions of a prompt were sampled from the same noise.
    """
    first = results[0]
    environment = {
        name: str(value) for name, value in first.environment.items() if not isinstance(value, dict)
    }
    environment |= {"judge": f"{first.judge.get('name')} {str(first.judge.get('identity'))[:12]}"}
    environment |= {"data": f"{first.data.get('split')} {str(first.data.get('identity'))[:12]}"}
    return ReportData(
        title,
        columns=tuple(result.subject["name"] for result in results),
        rows=rows_of(results),
        prompts=chosen_prompts(galleries, pictures),
        same_noise=same_noise,
        cost=cost or {},
        command=command,
        environment=environment,
        notes=footnotes(results),
        subject=results[-1].subject["name"],
        fps=galleries[0].fps if galleries else 20.0,
    )


def rows_of(results: Sequence[EvaluationResult]) -> list[Row]:
    """Table rows; changes against the first result are paired by seed, and left out where there are no seeds (physics of
    different motions)."""
    if len(results) == 2 and results[0].seeds:
        return compare(*results)
    names = in_order(list(results[0].metrics))
    pairs = [compare(results[0], other) if other.seeds else [] for other in results[1:]]
    changes = [{row.metric: row.changes[0] for row in rows} for rows in pairs]
    return [_row(name, results, changes) for name in names]


def chosen_prompts(galleries: Sequence[Gallery], pictures: int) -> list[Prompt]:
    """Prompts with their motions: the largest gains and the largest losses, or a mixture where there is no
    gain."""
    if not galleries or not pictures:
        return []
    shared = [key for key in galleries[0].motions if all(key in gallery.motions for gallery in galleries)]
    shared.sort(key=lambda key: item_seed(0, key))
    prompts = [_prompt(key, galleries) for key in shared]
    prompts.sort(key=lambda prompt: -prompt.gain)
    if len(prompts) <= pictures or not any(prompt.gain for prompt in prompts):
        return prompts[:pictures]
    best = -(-pictures // 2)
    return prompts[:best] + prompts[len(prompts) - (pictures - best) :]


def study_pairs(galleries: Sequence[Gallery], count: int, seed: int) -> list[StudyPair]:
    """`count` prompts drawn by the seed, with the motions of two galleries."""
    before, after = galleries
    shared = [key for key in before.motions if key in after.motions]
    order = torch.randperm(len(shared), generator=torch.Generator().manual_seed(seed)).tolist()
    keys = [shared[row] for row in order[:count]]
    return [StudyPair(before.captions[key], before.motions[key], after.motions[key]) for key in keys]


def _prompt(key: str, galleries: Sequence[Gallery]) -> Prompt:
    scores = tuple(gallery.scores[key] for gallery in galleries if key in gallery.scores)
    gain = scores[-1] - scores[0] if len(scores) == len(galleries) > 1 else 0.0
    return Prompt(
        galleries[0].captions[key], tuple(gallery.motions[key] for gallery in galleries), gain, scores
    )


def _row(
    name: str, results: Sequence[EvaluationResult], changes: Sequence[Mapping[str, Interval | None]]
) -> Row:
    metric = metric_of(name)
    values = tuple(
        Interval.of(result.metrics[name]) if name in result.metrics else None for result in results
    )
    reference = results[0].mean(name, real=True)
    return Row(
        metric.label,
        values,
        tuple(change.get(metric.label) for change in changes),
        good=metric.good,
        role=metric.role,
        unit=metric.unit,
        reference=None if math.isnan(reference) else reference,
        headline=metric.headline,
        note=metric.note,
        least=metric.least,
    )
