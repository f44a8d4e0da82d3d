"""Runs that are stopped, killed or out of disk, through the real executable (faults 15, 17, 18, 20, 21)."""

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from motionrft.training.run import RunFolder
from motionrft.training.weights import load_weights
from tests.cli.conftest import Result, clean_environment

pytestmark = pytest.mark.executable
UPDATES = 120
STAGE = Path("autoencoder")  # the run folder inside --out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a preset of a stage that takes a second."""
    root = tmp_path_factory.mktemp("resume")
    (root / "data" / "new_joint_vecs").mkdir(parents=True)
    (root / "data" / "texts").mkdir()
    draws = np.random.default_rng(0)
    for split in ("train", "val"):
        names = [f"{split}{n}" for n in range(8)]
        (root / "data" / f"{split}.txt").write_text("\n".join(names))
        for name in names:
            np.save(root / "data" / "new_joint_vecs" / name, draws.normal(size=(32, 263)).astype(np.float32))
            (root / "data" / "texts" / f"{name}.txt").write_text("a person waves##0.0#0.0\n")
    np.save(root / "data" / "Mean.npy", np.zeros(263, np.float32))
    np.save(root / "data" / "Std.npy", np.ones(263, np.float32))
    autoencoder = {"kind": "convolutional", "features": 263, "width": 4, "hidden": 16, "levels": 2}
    preset = {
        "data": str(root / "data"),
        "stage": "autoencoder",
        "generator": {"family": "mld", "autoencoder": autoencoder},
        "autoencoder": {"updates": UPDATES, "batch": 4, "window": 16},
        "checkpoint_every": 7,
    }
    (root / "preset.yaml").write_text(yaml.safe_dump(preset))
    return root


def _start(place: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "motionrft_cli.main", "pretrain", "--out", str(out), *more]
    if "--resume" not in more:
        command += ["--preset", str(place / "preset.yaml")]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    )


def _end(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err
    return Result(process.returncode, out, err)


def _shot(
    place: Path, out: Path, after: int, shoot: Callable[[subprocess.Popen[str]], None], *more: str
) -> Result:
    """Start a run and do something to it once it has made `after` updates."""
    process = _start(place, out, *more)
    metrics = out / STAGE / "metrics.jsonl"
    while process.poll() is None and (not metrics.is_file() or metrics.read_bytes().count(b"\n") < after):
        time.sleep(0.002)
    if process.poll() is None:
        shoot(process)
    return _end(process)


def _model(out: Path) -> bytes:
    return (out / STAGE / "model" / "model.safetensors").read_bytes()


def _losses(out: Path) -> list[tuple[int, float]]:
    lines = map(json.loads, (out / STAGE / "metrics.jsonl").read_text().splitlines())
    return [(line["update"], line["loss"]) for line in lines]


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """An uninterrupted run."""
    out = place / "whole"
    assert _end(_start(place, out)).code == 0
    assert len(_losses(out)) == UPDATES
    return out


def test_stopped_killed_and_resumed_ends_as_if_nothing_had_happened(place: Path, whole: Path) -> None:
    out = place / "shot"
    stopped = _shot(place, out, 5, lambda process: process.send_signal(signal.SIGTERM))
    assert stopped.code == 75 and "--resume" in stopped.err
    interrupted = _shot(place, out, 20, lambda process: process.send_signal(signal.SIGINT), "--resume")
    assert interrupted.code == 130
    assert _shot(place, out, 35, lambda process: process.kill(), "--resume").code == -signal.SIGKILL
    assert _end(_start(place, out, "--resume")).code == 0
    assert _model(out) == _model(whole)
    assert _losses(out) == _losses(whole)
    assert not [path for path in out.rglob("*") if path.name.endswith((".tmp", ".old", ".lock"))]


def test_in_use_then_out_of_disk(place: Path, run: Callable[..., Result]) -> None:
    """A second process is turned away from a running one; then its disk fills up and the last checkpoint stays."""
    out = place / "full"
    seen: list[Result] = []

    def knock_and_fill(process: subprocess.Popen[str]) -> None:
        seen.append(run("pretrain", "--out", str(out), "--resume"))
        if process.poll() is None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))

    failed = _shot(place, out, 8, knock_and_fill)
    assert seen[0].code == 2 and "in use by process" in seen[0].err
    assert failed.code == 1 and "writing failed" in failed.err
    assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]
    everything = [*yaml.safe_load((out / STAGE / "preset.yaml").read_text()), "data", "validation"]
    with RunFolder.open(out / STAGE, {}, {}, resume=True, allow_changed=everything) as folder:
        step, _ = folder.load_latest()
        assert step >= 7 and not folder.warnings


def test_a_changed_preset_is_refused_with_its_keys(
    place: Path, whole: Path, run: Callable[..., Result]
) -> None:
    changed = run("pretrain", "--out", str(whole), "--resume", "--set", "autoencoder.batch=5")
    assert changed.code == 2 and "autoencoder.batch: 4 -> 5" in changed.err
    allowed = ("--set", "autoencoder.batch=5", "--allow-changed", "autoencoder.batch")
    assert run("pretrain", "--out", str(whole), "--resume", *allowed).code == 0
    again = run("pretrain", "--preset", str(place / "preset.yaml"), "--out", str(whole))
    assert again.code == 2 and "--resume" in again.err


def test_a_result_is_a_model_that_loads(whole: Path) -> None:
    tensors, config = load_weights(whole / STAGE / "model")
    assert config["family"] == "mld" and tensors
