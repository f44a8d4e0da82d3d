"""Do the events of a prompt happen, in the order told, as often as told? Any generator, by any judge of events.

What retrieval and FID cannot see. Prompts are those of `motionrft prefer` (see `motionrft.preferences.prompts`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import torch

from motionrft.errors import UserError
from motionrft.evaluation.metrics.exact import exact
from motionrft.evaluation.result import EvaluationResult, collect, machine
from motionrft.evaluation.sources import GeneratorSource
from motionrft.physics import physics_measures
from motionrft.plurals import counted
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.prompts import EventPrompt
from motionrft.preferences.run import judged
from motionrft.preferences.scoring import KINDS
from motionrft.training.devices import name_of_precision
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import item_seed

JITTER = "events/jitter"
"""Of the motions made for event prompts, in a table that has a jitter of other items."""
Watch = Callable[[Sequence[Item], Sequence[Judgement]], None]
"""Shown the motions of a seed with their judgements, prompt by prompt."""


def evaluate_events(
    source: GeneratorSource,
    judge: Judge,
    prompts: Sequence[EventPrompt],
    seeds: Sequence[int],
    watch: Watch | None = None,
) -> EvaluationResult:
    """Sample every prompt once a seed and ask the judge; the interval is over seeds.

    Returns:
        `events/KIND` mean score, `events/KIND perfect` share of motions that do all, `events/mean` over kinds, `jitter`;
        `unusable`, the share that are no motion, where some may be.

    Raises:
        UserError: the judge cannot work, or knows an event of no prompt.
    """
    repetitions = []
    failed = 0
    for seed in seeds:
        items, jitter, unusable = sampled_events(source, prompts, seed)
        answers = _answered(source, judge, items)
        failed += sum(answer.score is None for answer in answers.values())
        found = judged([{"kind": items[p].prompt.kind, "score": a.score} for p, a in answers.items()])
        if not found:
            raise UserError(f"judge {judge.name}: none of {counted(len(items), 'motion')} has a judgement.")
        if watch is not None:
            watch(items, [answers[place] for place in range(len(items))])
        numbers = {f"events/{kind}": exact(torch.tensor(found[kind]["score"])) for kind in found}
        numbers |= {f"events/{kind} perfect": exact(torch.tensor(found[kind]["perfect"])) for kind in found}
        numbers["events/mean"] = exact(torch.tensor(fmean(each["score"] for each in found.values())))
        if source.may_fail:
            numbers["unusable"] = exact(unusable)
        repetitions.append({**numbers, "jitter": exact(jitter)})
    counts: dict[str, int] = {kind: sum(prompt.kind == kind for prompt in prompts) for kind in KINDS}
    told = text_hash(*(f"{p.id} {p.kind} {p.text} {p.events} {p.count} {p.seconds}" for p in prompts))
    notes = ["Every prompt is sampled once a seed; ± is the 95 % interval over seeds."]
    if failed:
        notes.append(f"{failed} motions have no judgement and do not count.")
    return EvaluationResult(
        "events",
        {"name": source.name, "identity": source.identity},
        {"name": judge.name, "identity": judge.identity},
        {"identity": told, "split": "prompts", "items": len(prompts), **counts},
        {"sampling": dict(source.settings)},
        list(seeds),
        machine(source.generator.device, name_of_precision(source.dtype)),
        collect(repetitions),
        notes=notes,
    )


def with_events(result: EvaluationResult, events: EvaluationResult) -> EvaluationResult:
    """One table of both: an evaluation of items, and of event prompts by the same generator and seeds.

    Both jitters are kept, that of the event prompts as `events/jitter`.
    """
    found = {name: values for name, values in events.metrics.items() if name.startswith("events/")}
    told = {
        "judge": events.judge["name"],
        "identity": [events.judge["identity"], events.data["identity"]],
        "prompts": events.data["items"],
    }
    return replace(
        result,
        protocol={**result.protocol, "events": told},
        metrics={**result.metrics, **found, JITTER: events.metrics["jitter"]},
        notes=[*result.notes, *(note for note in events.notes if note not in result.notes)],
    )


def _answered(source: GeneratorSource, judge: Judge, items: Sequence[Item]) -> dict[int, Judgement]:
    """Each item's judgement by its place: the first process asks for all, so that nothing is paid twice."""
    company = source.company
    answers = company.known(lambda: dict(judge.judge(items)))
    assert answers is not None, "the first process has asked"
    return answers


@torch.no_grad()
def sampled_events(
    source: GeneratorSource, prompts: Sequence[EventPrompt], seed: int
) -> tuple[list[Item], torch.Tensor, torch.Tensor]:
    """A motion of each prompt, as joints; their mean jitter, and the share that are no motion, () each."""
    seconds = torch.tensor([prompt.seconds for prompt in prompts])  # (P,)
    seeds = [item_seed(seed, prompt.id) for prompt in prompts]
    made = source.of_texts([prompt.text for prompt in prompts], seconds, seeds)
    joints, lengths = made.joints()  # (P, T, J, 3)
    jitter = physics_measures(joints, lengths, made.fps, ("jitter",))["jitter"].mean()
    items = [
        Item(prompt, 0, clip[:frames].numpy(), made.fps)
        for prompt, clip, frames in zip(prompts, joints, lengths.tolist(), strict=True)
    ]
    return items, jitter, torch.tensor((made.unusable or 0) / max(len(items), 1), dtype=torch.float64)
