"""The loop: an interrupted and resumed run is the uninterrupted one, bit for bit (fault 18)."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from motionrft.errors import Interrupted, RunError
from motionrft.training.loop import Outcome, train
from motionrft.training.run import RunFolder
from tests.training.toys import UPDATES, ToyTrainer, in_child


def _run(path: Path, trainer: ToyTrainer, resume: bool = False, **options) -> Outcome:
    with RunFolder.open(path, {"toy": True}, {}, resume=resume) as folder:
        return train(trainer, folder, **{"updates": UPDATES, "checkpoint_every": 3, **options})


def _steps(path: Path) -> list[int]:
    return sorted(int(folder.name.removeprefix("step-")) for folder in (path / "checkpoints").iterdir())


def _without_time(path: Path) -> list[dict]:
    lines = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [
        {k: v for k, v in line.items() if k not in ("seconds", "rss_bytes", "peak_bytes")} for line in lines
    ]


@pytest.fixture
def whole(tmp_path: Path) -> ToyTrainer:
    trainer = ToyTrainer()
    assert _run(tmp_path / "whole", trainer).reason == "updates"
    return trainer


def _assert_same_end(tmp_path: Path, whole: ToyTrainer, other: ToyTrainer) -> None:
    for a, b in zip(whole.everything(), other.everything(), strict=True):
        assert torch.equal(a, b)
    assert _without_time(tmp_path / "whole") == _without_time(tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [0, 4, UPDATES - 1])
def test_a_signal_saves_and_the_resumed_run_is_the_whole_one(
    tmp_path: Path, whole: ToyTrainer, number: signal.Signals, step: int
) -> None:
    def shoot(now: int) -> None:
        if now == step:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match="--resume") as caught:
        _run(tmp_path / "run", ToyTrainer(before=shoot))
    assert caught.value.exit_code == {signal.SIGTERM: 75, signal.SIGINT: 130}[number]
    resumed = ToyTrainer()
    torch.rand(7)  # whatever else the new process drew
    _run(tmp_path / "run", resumed, resume=True)
    _assert_same_end(tmp_path, whole, resumed)


def test_killed_the_resumed_run_is_the_whole_one(tmp_path: Path, whole: ToyTrainer) -> None:
    def die(now: int) -> None:
        if now == 8:
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(lambda: bool(_run(tmp_path / "run", ToyTrainer(before=die)))) == -signal.SIGKILL
    resumed = ToyTrainer()
    _run(tmp_path / "run", resumed, resume=True)
    _assert_same_end(tmp_path, whole, resumed)


def test_killed_before_the_first_checkpoint_starts_again(tmp_path: Path, whole: ToyTrainer) -> None:
    def die(now: int) -> None:
        if now == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(lambda: bool(_run(tmp_path / "run", ToyTrainer(before=die)))) == -signal.SIGKILL
    resumed = ToyTrainer()
    _run(tmp_path / "run", resumed, resume=True)
    _assert_same_end(tmp_path, whole, resumed)


def test_user_signal_saves_and_goes_on(tmp_path: Path, whole: ToyTrainer) -> None:
    seen: list[list[int]] = []

    def ask(now: int) -> None:
        if now == 4:
            os.kill(os.getpid(), signal.SIGUSR1)
        if now == 5:
            seen.append(_steps(tmp_path / "run"))

    trainer = ToyTrainer(before=ask)
    _run(tmp_path / "run", trainer, checkpoint_every=0)
    assert seen == [[5]]
    _assert_same_end(tmp_path, whole, trainer)


def test_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    def twice(now: int) -> None:
        if now == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "run", ToyTrainer(before=twice))
    assert _steps(tmp_path / "run") == [3]


def test_handlers_are_given_back(tmp_path: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    _run(tmp_path / "run", ToyTrainer(), updates=1)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


def test_several_updates_a_call_are_counted_one_by_one(tmp_path: Path, whole: ToyTrainer) -> None:
    trainer = ToyTrainer(updates_at_once=4)
    assert _run(tmp_path / "run", trainer).step == UPDATES
    _assert_same_end(tmp_path, whole, trainer)
    assert _steps(tmp_path / "run") == [8, 12]


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, whole: ToyTrainer) -> None:
    again = ToyTrainer()
    assert _run(tmp_path / "whole", again, resume=True).step == UPDATES
    assert all(torch.equal(a, b) for a, b in zip(whole.everything(), again.everything(), strict=True))


def test_time_limit_counts_earlier_sessions(tmp_path: Path) -> None:
    first = _run(tmp_path / "run", ToyTrainer(), updates=None, time_limit=0.05, checkpoint_every=0)
    assert first.reason == "time" and first.step >= 1
    again = _run(tmp_path / "run", ToyTrainer(), resume=True, updates=None, time_limit=0.05)
    assert (again.step, again.reason) == (first.step, "time")


def test_looks_cost_none_of_the_time_limit(tmp_path: Path) -> None:
    def look(step: int) -> None:
        time.sleep(0.2)

    outcome = train(ToyTrainer(), updates=4, time_limit=0.5, watch=look)
    assert outcome.reason == "updates" and outcome.seconds < 0.5


def test_the_watch_ends_a_run_and_its_state_is_saved(tmp_path: Path) -> None:
    outcome = _run(tmp_path / "run", ToyTrainer(), watch=lambda step: "jitter doubled" if step == 5 else None)
    assert (outcome.step, outcome.reason) == (5, "jitter doubled")
    assert 5 in _steps(tmp_path / "run")


def test_a_trainer_that_never_updates_is_stopped() -> None:
    trainer = ToyTrainer()
    trainer.update = lambda step: []  # type: ignore[method-assign]
    with pytest.raises(RunError, match="no gradient"):
        train(trainer, updates=1)


def test_no_gradient_is_said_once() -> None:
    said: list[str] = []

    class Notes:
        start = update = finish = staticmethod(lambda *arguments, **more: None)
        message = staticmethod(lambda text, warn=False: said.append(text))

    trainer = ToyTrainer()
    trainer.update = lambda step: {"reward": 1.0, "grad_norm": 0.0}  # type: ignore[method-assign]
    train(trainer, updates=5, progress=Notes())
    assert len(said) == 1 and "No gradient at update 1" in said[0]


def test_progress_sees_every_update_and_the_end(tmp_path: Path) -> None:
    class Notes:
        def __init__(self) -> None:
            self.events: list[str] = []

        def start(self, total, done, seconds=None) -> None:
            self.events.append(f"start {done}/{total}")

        def update(self, done, metrics) -> None:
            assert {"loss", "grad_norm", "lr", "seconds", "rss_bytes", "peak_bytes"} <= metrics.keys()
            self.events.append(f"update {done}")

        def message(self, text, *, warn=False) -> None:
            self.events.append(text)

        def finish(self) -> None:
            self.events.append("finish")

    notes = Notes()
    _run(tmp_path / "run", ToyTrainer(), updates=2, progress=notes)
    assert notes.events == ["start 0/2", "update 1", "update 2", "finish"]
    notes = Notes()
    _run(tmp_path / "run", ToyTrainer(), updates=3, progress=notes, resume=True)
    assert notes.events == ["Going on after update 2.", "start 2/3", "update 3", "finish"]
