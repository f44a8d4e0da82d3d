"""--log: a run's numbers, looks and pictures elsewhere, or one line that says what is missing."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from motionrft_cli.console import Console
from motionrft_cli.following import FollowedProgress, Followers
from tests.cli.conftest import Result

Run = Callable[..., Result]


def follow(out: Path, *names: str, done: int = 0, anew: bool = False) -> None:
    """A loop of two updates after `done`, with a look before and after it, and a picture."""
    out.mkdir(exist_ok=True)
    look(out, done, 0.5)
    followers = Followers(names, out, {"steps": 3}, anew)
    progress = FollowedProgress(Console(quiet=True), "easytune", followers, "")
    progress.start(None, done)
    for step in (done + 1, done + 2):
        progress.update(step, {"update": step, "reward": step / 10, "note": "text"})  # type: ignore[dict-item]
    progress.finish()
    look(out, done + 2, 0.7)
    (out / "plots").mkdir(exist_ok=True)
    Image.new("RGB", (4, 3), "red").save(out / "plots" / "best_1.png")
    followers.close()


def look(out: Path, update: int, reward: float) -> None:
    with (out / "watch.jsonl").open("a") as file:
        file.write(json.dumps({"update": update, "reward": reward, "spread": {"reward": 0.1}}) + "\n")


def scalars(out: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(out / "tensorboard"))
    read.Reload()
    assert read.Tags()["images"] == ["samples/best_1"]
    return {
        name: [(event.step, round(event.value, 4)) for event in read.Scalars(name)]
        for name in read.Tags()["scalars"]
    }


def test_tensorboard_reads_back_what_the_run_said(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    follow(tmp_path / "run", "tensorboard")
    assert scalars(tmp_path / "run") == {"reward": [(1, 0.1), (2, 0.2)], "watch/reward": [(0, 0.5), (2, 0.7)]}
    follow(tmp_path / "run", "tensorboard", anew=True)
    assert scalars(tmp_path / "run")["reward"] == [(1, 0.1), (2, 0.2)]


def test_a_resumed_run_goes_on_in_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    follow(tmp_path / "run", "tensorboard")
    follow(tmp_path / "run", "tensorboard", done=1)  # update 2 is made again
    assert scalars(tmp_path / "run")["reward"] == [(1, 0.1), (2, 0.2), (3, 0.3)]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_other_trackers_are_told_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    said: list[tuple[str, Any]] = []

    def log(values: dict[str, Any], step: int | None = None) -> None:
        said.append(("log", values if step is None else {**values, "update": step}))

    fake: Any = ModuleType(name)
    fake.Image = lambda path: Path(path).name
    fake.log, fake.finish = log, lambda: said.append(("finish", None))
    run = SimpleNamespace(log=log, finish=fake.finish, define_metric=lambda *_, **__: None)
    fake.init = lambda **given: (said.append(("init", given["config"])), run)[1]
    monkeypatch.setitem(sys.modules, name, fake)
    follow(tmp_path / "run", name)
    assert said == [
        ("init", {"steps": 3}),
        ("log", {"watch/reward": 0.5, "update": 0}),
        ("log", {"reward": 0.1, "update": 1}),
        ("log", {"reward": 0.2, "update": 2}),
        ("log", {"watch/reward": 0.7, "update": 2}),
        ("log", {"samples/best_1": "best_1.png", "update": 2}),
        ("finish", None),
    ]


@pytest.mark.parametrize("command", ["finetune", "train-reward", "pretrain"])
def test_a_tracker_that_is_not_there_is_one_line_before_any_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    preset = ["--preset", "mini-mld"] if command == "pretrain" else []
    for names, said in (
        ("tensorboard", "pip install 'motionrft[tensorboard]'"),
        ("mlflow", "no such tracker"),
    ):
        result = run(command, *preset, "--log", names, "--out", str(tmp_path / "out"))
        assert result.code == 2 and result.err.count("\n") == 1 and said in result.err, result
    assert not (tmp_path / "out").exists()
