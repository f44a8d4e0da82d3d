"""A generator before and after its tuning, evaluated in the same way; each now, or taken up where nothing has changed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from motionrft.evaluation.result import EvaluationResult
from motionrft.finetuning.held_out import EventTest, TestSet
from motionrft.finetuning.kept_evaluations import Keep, KeptEvaluations
from motionrft.finetuning.report import Pictured
from motionrft.finetuning.session import EVALUATIONS, FinetuneSession
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder

Evaluate = Callable[[str, Progress, Keep], EvaluationResult]
"""Told `before` or `after`, whom to tell of repetitions that are done, and whom to show motions."""


@dataclass(frozen=True)
class Table:
    """One table of before and after: its title, how motions are made for it, and what for."""

    title: str
    sampling: SamplingSettings
    test: TestSet | None
    events: EventTest | None


@dataclass(frozen=True)
class BeforeAndAfter:
    """Of one run.

    folder: the run's; None in a process that another one keeps evaluations for.
    frozen: inside this context the generator is the untuned one.
    """

    folder: RunFolder | None
    session: FinetuneSession
    frozen: Callable[[], AbstractContextManager[None]]
    company: Distribution = ALONE

    def __call__(
        self,
        title: str,
        seeds: Sequence[int],
        made_of: Callable[[str], Mapping[str, Any]],
        evaluate: Evaluate,
        counted: bool = True,
    ) -> tuple[list[EvaluationResult], list[Pictured]]:
        """Both results, and the motions of each that are pictured.

        Args:
            title: names the files. made_of: all that the numbers of `before` or `after` depend on; read where there is a
                folder. counted: whether `evaluate` tells how many seeds are done.
        """
        results: list[EvaluationResult] = []
        shown: list[Pictured] = []
        for name, state in (("before", self.frozen), ("after", nullcontext)):

            def told(keep: Keep, name: str = name) -> EvaluationResult:
                progress = self.session.progress(f"evaluating {name}, {title}")
                progress.start(len(seeds) if counted else None, 0, "sampling seeds")
                result = evaluate(name, progress, keep)
                progress.finish()
                return result

            place, own = None, dict[str, Any]()
            if self.folder is not None:
                shared = self.session.before if name == "before" else None  # of methods that are compared
                place, own = shared or self.folder.path / EVALUATIONS, dict(made_of(name))
            kept = KeptEvaluations(place, self.session.say, self.company)
            with state():
                result, pictured = kept.of(f"{name}-{_slug(title)}", own, told)
            results.append(result)
            shown += [] if pictured is None else [pictured]
        return results, shown


def _slug(title: str) -> str:
    return "-".join(title.replace(",", "").split())
