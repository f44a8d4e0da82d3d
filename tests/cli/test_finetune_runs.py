"""The main job through the real executable, with the built-in models: stopped, killed, resumed, and hacked."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import clean_environment

pytestmark = [pytest.mark.executable, pytest.mark.slow]
SMALL = (
    "--updates",
    "24",
    "--batch",
    "2",
    "--steps",
    "12",
    "--set",
    "method.k=4",
    "--set",
    "checkpoint_every=6",
)
_WATCHED = ("--set", "watch.every=12", "--set", "watch.prompts=32", "--set", "evaluation.prompts=0")
EXPLOITING = (
    *("--preset", "mini-easytune", "--updates", "200", "--batch", "4", "--steps", "12", "--lr", "2e-4"),
    *("--set", "method.k=6", *_WATCHED),
    *("--set", "weights={jitter: -0.01, semantic: 0, similarity: 0}"),
)
"""Shaking pays."""
UNWATCHED = ("--set", "watch.every=0", "--set", "evaluation.prompts=0")


def _start(out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "motionrft_cli.main", "finetune", "--out", str(out), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment())


def _end(process: subprocess.Popen[str]) -> int:
    _, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err
    return process.returncode


def _shot(out: Path, after: int, number: signal.Signals, *more: str) -> int:
    process = _start(out, *more)
    metrics = out / "metrics.jsonl"
    while process.poll() is None and (not metrics.is_file() or metrics.read_bytes().count(b"\n") < after):
        time.sleep(0.01)
    process.send_signal(number)
    return _end(process)


def test_stopped_killed_and_resumed_gives_the_same_generator(tmp_path: Path) -> None:
    whole, shot = tmp_path / "whole", tmp_path / "shot"
    assert _end(_start(whole, *SMALL, *UNWATCHED)) == 0
    assert _shot(shot, 5, signal.SIGTERM, *SMALL, *UNWATCHED) == 75
    assert _shot(shot, 14, signal.SIGKILL, "--resume") == -signal.SIGKILL
    assert _end(_start(shot, "--resume")) == 0
    weights = Path("generator") / "model.safetensors"
    assert (whole / weights).read_bytes() == (shot / weights).read_bytes()
    updates = [json.loads(line)["update"] for line in (shot / "metrics.jsonl").read_text().splitlines()]
    assert updates == list(range(1, 25))


def test_a_reward_that_pays_for_shaking_is_stopped_by_the_watch(tmp_path: Path) -> None:
    """The reward climbs; what it was not asked about says no, and the best checkpoint is not the last."""
    process = _start(tmp_path / "run", *EXPLOITING)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "jitter went from" in err and "the watch stopped the run" in err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) < 100 and lines[-1]["reward"] > lines[0]["reward"]
    last, best = ((tmp_path / "run" / name).read_text().strip() for name in ("LATEST", "BEST"))
    assert last == f"step-{len(lines)}" and best != last
