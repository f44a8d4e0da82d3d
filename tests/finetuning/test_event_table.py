"""Events in a run's table and pictures: what was told, and whether it was seen."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motionrft.evaluation.events import with_events
from motionrft.evaluation.result import EvaluationResult
from motionrft.evaluation.tables import markdown, protocol_of
from motionrft.finetuning.event_table import marks, picture_events
from motionrft.finetuning.held_out import EventTest
from motionrft.finetuning.kept_evaluations import KeptEvaluations
from motionrft.finetuning.report import Pictured, prompts
from motionrft.finetuning.run import FinetuneRun
from motionrft.preferences.judges.base import Item, Judgement
from motionrft.preferences.prompts import EventPrompt
from motionrft.report.content import Mark
from motionrft.training.progress import Silent

KICKED = {"bow": [[0, 10]], "kick": [[20, 30]]}


def item(kind: Any = "temporal", events: tuple[str, ...] = ("bow", "kick"), count: int = 1) -> Item:
    text = f"{kind} {events} {count}"
    return Item(EventPrompt(text, kind, text, events, 2.0, count), 0, np.zeros((4, 22, 3)), 20.0)


@pytest.mark.parametrize(
    "told, seen, words",
    [
        (item("integrity"), {"bow": [[0, 9]], "kick": []}, [("bows", True), ("kicks", False)]),
        (item(), KICKED, [("bows", True), ("kicks", True), ("in this order", True)]),
        (item(events=("kick", "bow")), KICKED, [("kicks", True), ("bows", True), ("in this order", False)]),
        (item(), {"bow": [[0, 9]]}, [("bows", True), ("kicks", False), ("in this order", False)]),
        (item("frequency", ("bow",), 2), {"bow": [[0, 9]]}, [("bows: 1 of 2", False)]),
        (item("frequency", ("clap",), 1), {"clap": [[0, 9]]}, [("clap: 1 of 1", True)]),
    ],
)
def test_every_event_is_marked(told: Item, seen: dict[str, Any], words: list[tuple[str, bool]]) -> None:
    assert [(mark.text, mark.right) for mark in marks(told, Judgement(0.5, {"seen": seen}))] == words


def test_a_judge_who_says_no_events_gives_no_marks() -> None:
    assert marks(item(), Judgement(0.5)) == ()


def test_every_kind_is_pictured_with_its_score() -> None:
    items = [item("temporal", count=n) for n in range(20)] + [item("frequency", ("bow",), n) for n in (1, 2)]
    found = picture_events(items, [Judgement(0.25, {"seen": KICKED})] * len(items), count=6)
    assert [text.split()[0] for text in found.texts] == ["temporal"] * 3 + ["frequency"] * 2
    assert set(found.rewards) == {0.25} and all(found.marks)


def result(metrics: dict[str, list[float]], judge: str, items: int) -> EvaluationResult:
    data = {"identity": judge, "split": "test", "items": items}
    return EvaluationResult(
        "generation", {"name": "x"}, {"name": judge, "identity": judge}, data, {}, [0], {}, metrics
    )


def test_one_table_tells_items_and_events_and_who_judged_which() -> None:
    items = result({"fid": [0.1], "jitter": [40.0], "label_r1": [0.8]}, "evaluator", 160)
    events = result({"events/mean": [0.6], "events/temporal": [0.6], "jitter": [50.0]}, "rules", 90)
    both = with_events(items, events)
    assert both.metrics["jitter"] == [40.0] and both.metrics["events/jitter"] == [50.0]
    assert "evaluator" in protocol_of(both) and "90 event prompts, judged by rules" in protocol_of(both)
    assert both.identity != items.identity
    assert "in the order told" in markdown([both]) and "in the order told" not in markdown([items])


def test_marks_are_kept_with_the_motions(tmp_path: Path) -> None:
    """The report of a resumed run tells events too."""
    made = Pictured(["a man bows"], [np.zeros((4, 22, 3))], [1.0], [(Mark("bows", True),)])

    def evaluate(keep: Any) -> EvaluationResult:
        keep(made)
        return result({"events/mean": [1.0]}, "rules", 1)

    kept = KeptEvaluations(tmp_path, lambda told: None)
    kept.of("after", {}, evaluate)
    _, shown = kept.of("after", {}, lambda keep: pytest.fail("made again"))
    assert shown is not None and shown.marks == made.marks
    (prompt,) = prompts(made, shown)
    assert prompt.marks == ((Mark("bows", True),),) * 2 and json.dumps(prompt.gain) == "0.0"


def test_each_process_of_a_run_samples_the_event_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They meet inside the evaluation: a first process that evaluated alone would leave the others idle."""
    company = object()
    asked: list[Any] = []

    def evaluated(source: Any, judge: Any, told: Any, seeds: Any, watch: Any) -> str:
        asked.append((source.company, judge, told, list(seeds)))
        watch([item()] * 2, [Judgement(0.5, {"seen": KICKED})] * 2)
        return "result"

    monkeypatch.setattr("motionrft.finetuning.event_table.evaluate_events", evaluated)
    shown: list[Any] = []
    run = SimpleNamespace(
        generator=None, sampling=None, distribution=company, _averaged=lambda name: nullcontext()
    )
    events = EventTest(["prompt"], "judge")  # type: ignore[arg-type,list-item]
    found = FinetuneRun._judged(run, "after", events, [0, 1], Silent(), shown.append)  # type: ignore[arg-type]
    assert found == "result" and asked == [(company, "judge", ["prompt"], [0, 1])]
    assert [pictured.rewards for pictured in shown] == [[0.5, 0.5]]
