"""On a real GPU: a command gives there what it gives on the host, and a tuned generator is one for both."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft_cli import main as program

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA device; `make gpu` where there is one"
    ),
]
DEVICES = ("cpu", "cuda")
PROMPTS = ("a person walks forward", "a person raises the left hand")
Run = Callable[..., list[dict]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Call the program in this process; the JSON lines it printed."""

    def call(*arguments: str) -> list[dict]:
        capfd.readouterr()
        code = program.run((*arguments, "--json", "--quiet"))
        seen = capfd.readouterr()
        assert code == 0, seen.err
        return [json.loads(line) for line in seen.out.splitlines()]

    return call


def sampled(run: Run, folder: Path, *options: str) -> list[np.ndarray]:
    """The motions of PROMPTS, written to and read from `folder`."""
    run("sample", *PROMPTS, "--seed", "3", "--format", "npy", "--out", str(folder), *options)
    return [np.load(path) for path in sorted(folder.rglob("*.npy"))]


def test_a_prompt_and_a_seed_are_one_motion_on_both(run: Run, tmp_path: Path) -> None:
    host, device = (
        sampled(run, tmp_path / name, "--device", name, "--precision", "fp32") for name in DEVICES
    )
    assert len(host) == len(device) == len(PROMPTS)
    for there, here in zip(device, host, strict=True):
        np.testing.assert_allclose(there, here, atol=2e-2)


def test_a_motion_has_one_score_on_both(run: Run, tmp_path: Path) -> None:
    sampled(run, tmp_path / "motions", "--device", "cpu", "--precision", "fp32")
    files = sorted(map(str, (tmp_path / "motions").rglob("*.npy")))
    host, device = (
        run("score", *files, "--text", PROMPTS[0], "--device", name, "--precision", "fp32")
        for name in DEVICES
    )
    assert len(host) == len(files)
    for there, here in zip(device, host, strict=True):
        scores = {key: value for key, value in here.items() if isinstance(value, float)}
        assert scores
        for key, value in scores.items():
            assert there[key] == pytest.approx(value, rel=2e-2, abs=1e-2), key


def test_what_is_tuned_there_is_the_same_generator_here(run: Run, tmp_path: Path) -> None:
    tuning = ("--updates", "4", "--batch", "4", "--set", "watch.every=0", "--set", "evaluation.prompts=0")
    run(
        "finetune", "--preset", "mini-easytune", *tuning, "--device", "cuda", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    generator = ("--generator", str(tmp_path / "run" / "generator"), "--precision", "fp32")
    host, device = (sampled(run, tmp_path / name, *generator, "--device", name) for name in DEVICES)
    assert all(np.isfinite(each).all() for each in host)
    for there, here in zip(device, host, strict=True):
        np.testing.assert_allclose(there, here, atol=2e-2)


def test_a_generator_is_judged_alike_on_both(run: Run) -> None:
    asked = ("eval", "generation", "--generator", "builtin", "--repeats", "1", "--steps", "4")
    host, device = (run(*asked, "--device", name, "--precision", "fp32")[0]["metrics"] for name in DEVICES)
    assert host.keys() == device.keys() and "fid" in host
    for name, (value,) in host.items():
        assert device[name][0] == pytest.approx(value, rel=0.05, abs=0.02), name
