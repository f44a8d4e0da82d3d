"""The watch of tuning by events: held-out prompts are sampled now and then, and each kind of event is followed.

Longer tuning trades one kind for another while their mean stands still, so the worst kind has the last word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from motionrft.evaluation.events import evaluate_events
from motionrft.evaluation.result import EvaluationResult
from motionrft.evaluation.sources import GeneratorSource
from motionrft.finetuning.preset import WatchPart
from motionrft.finetuning.watch import SPREADS, Seen
from motionrft.generators.token_generator import TokenGenerator
from motionrft.preferences.judges.base import Judge
from motionrft.preferences.prompts import EventPrompt
from motionrft.preferences.scoring import KINDS
from motionrft.training.watch import Watch, Watched


@dataclass(frozen=True)
class SplitEvents:
    """Event prompts: to tune on, for the watch, for the tables. No text is in two of them."""

    tuned: list[EventPrompt]
    watched: list[EventPrompt]
    shown: list[EventPrompt]


def split_events(prompts: Sequence[EventPrompt]) -> SplitEvents:
    """Held-out prompts are shared between watch and tables, kind by kind; the others are tuned on."""
    tuned = [prompt for prompt in prompts if not prompt.held_out]
    texts, watched, shown = {prompt.text for prompt in tuned}, list[EventPrompt](), list[EventPrompt]()
    for kind in KINDS:
        apart = [p for p in prompts if p.held_out and p.kind == kind and p.text not in texts]
        watched += apart[0::2]
        shown += apart[1::2]
    return SplitEvents(tuned, watched, shown)


def watch_for_events(settings: WatchPart, prompts: Sequence[EventPrompt]) -> Watch:
    """Every kind of event that there are prompts of, and jitter."""
    kinds = [kind for kind in KINDS if any(prompt.kind == kind for prompt in prompts)]
    goals = [
        Watched(f"events/{kind}", "higher", settings.events, relative=False, goal=True) for kind in kinds
    ]
    return Watch([*goals, Watched("jitter", "lower", settings.jitter, spreads=SPREADS)], stop=settings.stop)


@dataclass(frozen=True)
class EventLooking:
    """Looks at the generator as it is. seeds: of every look; a kind's score is a mean of few prompts."""

    generator: TokenGenerator
    judge: Judge
    prompts: Sequence[EventPrompt]
    seeds: int
    batch: int = 32

    def __call__(self, first: bool) -> Seen:
        """Mean scores of each kind over the seeds, and jitter; at the first look how far they spread, too."""
        metrics = self.result("watch", range(self.seeds)).metrics
        values = {name: sum(numbers) / len(numbers) for name, numbers in metrics.items()}
        spread = (
            {name: stdev(numbers) for name, numbers in metrics.items()} if first and self.seeds > 1 else {}
        )
        return Seen(values, spread)

    def result(self, name: str, seeds: Sequence[int]) -> EvaluationResult:
        """The evaluation of these prompts."""
        source = GeneratorSource(self.generator, name, batch=self.batch)
        return evaluate_events(source, self.judge, self.prompts, list(seeds))
