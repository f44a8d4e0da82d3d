"""Event prompts in a run's table, and in its report event by event: whether a motion does what its prompt tells."""

from collections.abc import Sequence

from motionrft.evaluation.events import evaluate_events
from motionrft.evaluation.result import EvaluationResult
from motionrft.evaluation.sources import GeneratorSource
from motionrft.finetuning.held_out import EventTest
from motionrft.finetuning.kept_evaluations import Keep
from motionrft.finetuning.report import PICTURED, Pictured
from motionrft.preferences.judges.base import Item, Judgement
from motionrft.preferences.scoring import KINDS, event_score
from motionrft.report.content import Mark
from motionrft.reward.events import EVENTS
from motionrft.training.progress import Progress


def judged_events(
    source: GeneratorSource, events: EventTest, seeds: Sequence[int], progress: Progress, keep: Keep
) -> EvaluationResult:
    """The evaluation of the event prompts, sampled by all processes of `source`, each of which has it."""
    done = 0

    def seen(items: Sequence[Item], judgements: Sequence[Judgement]) -> None:
        nonlocal done
        done += 1
        keep(picture_events(items, judgements))
        progress.update(done, {})

    return evaluate_events(source, events.judge, events.prompts, seeds, seen)


def picture_events(items: Sequence[Item], judgements: Sequence[Judgement], count: int = PICTURED) -> Pictured:
    """Evenly spread motions of every kind of prompt, with their scores and marks."""
    chosen: list[int] = []
    kinds = [kind for kind in KINDS if any(item.prompt.kind == kind for item in items)]
    for kind in kinds:
        mine = [place for place, item in enumerate(items) if item.prompt.kind == kind]
        some = min(len(mine), max(count // len(kinds), 1))
        chosen += [mine[turn * len(mine) // some] for turn in range(some)]
    told = [(items[place], judgements[place]) for place in chosen]
    return Pictured(
        [item.prompt.text for item, _ in told],
        [item.joints for item, _ in told],
        [judgement.score or 0.0 for _, judgement in told],
        [marks(item, judgement) for item, judgement in told],
    )


def marks(item: Item, judgement: Judgement) -> tuple[Mark, ...]:
    """What the prompt told and whether it was seen; nothing of a judge who does not say when events happen."""
    prompt, seen = item.prompt, judgement.raw.get("seen")
    if not isinstance(seen, dict):
        return ()
    if prompt.kind == "frequency":
        times = len(seen.get(prompt.events[0], ()))
        return (Mark(f"{_phrase(prompt.events[0])}: {times} of {prompt.count}", times == prompt.count),)
    found = tuple(Mark(_phrase(event), bool(seen.get(event))) for event in prompt.events)
    if prompt.kind == "temporal":
        ordered = event_score("temporal", prompt.events, 1, seen) == 1.0
        return (*found, Mark("in this order", ordered))
    return found


def _phrase(event: str) -> str:
    return EVENTS[event].phrase if event in EVENTS else event
