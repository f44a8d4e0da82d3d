"""How a fine-tuning run is carried out, and what comes of it: the same for every kind of generator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from motionrft.evaluation.result import EvaluationResult
from motionrft.evaluation.tables import protocol_of
from motionrft.finetuning.preset import FinetunePreset
from motionrft.report.verdict import Row
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.loop import Outcome
from motionrft.training.progress import Progress, Silent
from motionrft.training.run import RunFolder

GENERATOR, ADAPTERS, EVALUATIONS, PLOTS, REPORT = (
    "generator",
    "adapters",
    "evaluation",
    "plots",
    "report.html",
)


@dataclass(frozen=True)
class FinetuneSession:
    """How a run is carried out, apart from its preset.

    progress: makes the progress of a stage that is called so; say: told what people should know;
    allow_changed: preset keys that may differ on resume;
    before: folder of evaluations of the untuned generator, shared by runs that start from it.
    """

    out: Path
    device: torch.device
    dtype: torch.dtype = torch.float32
    resume: bool = False
    overwrite: bool = False
    progress: Callable[[str], Progress] = lambda _: Silent()
    say: Callable[[str], None] = lambda _: None
    allow_changed: tuple[str, ...] = ()
    before: Path | None = None


@dataclass(frozen=True)
class Finetuned:
    """What came of a run. tables: title to rows, before against after."""

    outcome: Outcome
    generator: Path
    report: Path
    tables: dict[str, list[Row]]
    results: tuple[EvaluationResult, ...] = ()
    """Before and after, with what was tuned with."""
    protocols: dict[str, str] = field(default_factory=dict)
    """How the numbers of a table were made, where it is in another way than the first."""

    @property
    def protocol(self) -> str:
        """How the numbers of the first table were made."""
        return protocol_of(self.results[0]) if self.results else "nothing was evaluated"


class Run(Protocol):
    """A run with everything loaded."""

    def train(self, folder: RunFolder | None) -> Outcome:
        """Tune to the end of the budget, or until the watch ends it."""

    def finish(self, folder: RunFolder | None, outcome: Outcome) -> Finetuned:
        """Save the generator, evaluate before and after, and write the report; without a folder another one writes."""


def card_of(preset: FinetunePreset, how: str) -> str:
    """The README of a tuned generator; `how`: what it was tuned and is sampled with, in a sentence."""
    return (
        f"# A generator fine-tuned by {preset.method.method}\n\n{how}\n\nThe whole preset:\n\n"
        "```yaml\n" + preset.to_yaml() + "```\n\n"
        "The weights inherit the licence of the generator they were tuned from.\n"
    )


def choose_best(
    folder: RunFolder | None,
    outcome: Outcome,
    go_back: Callable[[Any], None],
    company: Distribution = ALONE,
) -> list[str]:
    """Go back to the best checkpoint if the watch ended the run; sentences for the report.

    Args:
        folder: the run's; None where another process has it.
        go_back: takes the trainer's state, in every process.
    """
    if outcome.reason in ("updates", "time"):
        return []

    def read() -> tuple[int, Any]:
        assert folder is not None, "the first process has it"
        best = folder.best()
        assert best is not None, "the start was saved as the first best"
        return best, folder.load(best)["trainer"]

    found = company.known(read)
    assert found is not None, "the first process has read it"
    best, state = found
    go_back(state)
    result = f"the checkpoint of update {best}" if best else "the generator as it was"
    return [f"{outcome.reason}. The result is {result}."]
