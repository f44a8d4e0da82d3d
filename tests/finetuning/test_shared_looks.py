"""Several processes sample the looks of a watch and the tables of a run together: the numbers are those of one."""

import json
import os
import signal
from pathlib import Path

import pytest

from motionrft.errors import Interrupted, RunError
from motionrft.evaluation.evaluators.nobody import NoEvaluator
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.sources import GeneratorSource
from motionrft.finetuning.comparison import compare_methods
from motionrft.finetuning.held_out import HeldOut, TestSet
from motionrft.finetuning.run import finetune
from tests.finetuning.test_run import parts, preset, session  # noqa: F401 - `parts` is a fixture
from tests.processes import together


@pytest.fixture
def asked(parts, monkeypatch):  # noqa: F811
    """A preset of a batch, in a run that is looked at twice and evaluated on seven prompts; nothing is drawn."""
    texts = [f"walks {number} steps" for number in range(7)]
    test = TestSet(FixedItems.of_prompts(texts, [1.2] * 7, "prompts"), NoEvaluator("kinematic", 20.0))
    monkeypatch.setattr("motionrft.finetuning.loading.held_out", lambda *_: HeldOut(test, test))
    monkeypatch.setattr("motionrft.finetuning.report.write_strips", lambda *_: None)

    def of(batch):
        shown = {"evaluation": {"prompts": 32, "seeds": 2}, "watch": {"every": 2}, "steps": 4}
        return preset(
            parts,
            batch=batch,
            updates=2,
            optimiser={"lr": 1e-9},
            method={"method": "easytune", "k": 2},
            **shown,
        )

    return of


def looks(out: Path) -> list[float]:
    """Every number of them, in order."""
    read = [json.loads(line) for line in (out / "watch.jsonl").read_text().splitlines()]
    return [number for look in read for number in (*look.pop("spread", {}).values(), *look.values())]


def values(done) -> list[float]:
    return [value.mean for rows in done.tables.values() for row in rows for value in row.values]


def test_two_processes_look_and_judge_as_one(asked, tmp_path):
    alone = finetune(asked(4), session(tmp_path / "one"))

    def act(rank):
        done = finetune(asked(2), session(tmp_path / "two"))
        (tmp_path / str(rank)).write_text(json.dumps(values(done)))

    assert together(act) == [0, 0]
    assert len(values(alone)) > 8
    for rank in "01":
        assert json.loads((tmp_path / rank).read_text()) == pytest.approx(values(alone), rel=1e-4, abs=1e-5)
    assert looks(tmp_path / "two") == pytest.approx(looks(tmp_path / "one"), rel=1e-4, abs=1e-5)
    one, two = (
        {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")}
        for name in ("one", "two")
    )
    assert one == two


@pytest.mark.parametrize(("number", "codes"), [(signal.SIGKILL, [1, -9]), (signal.SIGTERM, [75, 75])])
def test_a_process_that_ends_in_the_evaluation_ends_all(asked, tmp_path, monkeypatch, number, codes):
    make = GeneratorSource.make

    def until_the_table(self, *given):
        if self.name == "after" and os.environ["RANK"] == "1":
            os.kill(os.getpid(), number)
        return make(self, *given)

    def act(rank):
        monkeypatch.setattr(GeneratorSource, "make", until_the_table)
        try:
            finetune(asked(2), session(tmp_path / "run"))
        except Interrupted as end:
            return end.exit_code
        except RunError:
            return 1

    assert together(act) == codes
    assert (tmp_path / "run" / "generator").is_dir(), "what was tuned is saved"
    assert not (tmp_path / "run" / "report.html").exists()


def test_methods_are_compared_in_two_processes(asked, parts, tmp_path):  # noqa: F811
    """They meet once for all methods: whoever is early would meet the last ones of the run before."""
    looked_at = {"evaluation": {"prompts": 32, "seeds": 2}}
    wanted = preset(parts, batch=1, updates=1, method="easytune,draft", **looked_at)

    def act(rank):
        found = compare_methods(wanted, session(tmp_path / "all"))
        return 0 if [len(one.done.results) for one in found] == [2, 2] else 1

    assert together(act) == [0, 0]
    assert {path.name for path in (tmp_path / "all").iterdir()} >= {"easytune", "draft", "table.md", "before"}
