"""On a real GPU: NCCL carries every message of a company, and two processes that share a card tune as one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not (torch.cuda.is_available() and torch.distributed.is_nccl_available()),
        reason="needs a CUDA device and NCCL; `make gpu` where there is one",
    ),
]


def test_every_message_is_carried_in_a_group_of_one() -> None:
    """Two processes would need two devices. What runs is the product's own meeting, messages and parting."""
    command = [sys.executable, "-m", "tests.training.messages", "cuda"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stdout.startswith("carried"), done.stderr
    assert "not been destroyed" not in done.stderr and "was not called" not in done.stderr


def numbers(out: Path, device: str, processes: int, batch: int) -> list[float]:
    """Reward and gradient of each update of a run, by so many processes on the same device."""
    launched = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m")
    tuning = (
        "--updates",
        "4",
        "--batch",
        str(batch),
        "--precision",
        "fp32",
        "--set",
        "optimiser.divided=true",
    )
    looks = ("--set", "watch.every=4", "--set", "watch.prompts=32", "--set", "evaluation.prompts=0")
    command = [sys.executable, "-m", *launched, "tests.gpu.sharing_a_card", "finetune"]
    asked = ["--preset", "mini-easytune", *tuning, *looks, "--device", device, "--out", str(out), "--quiet"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("reward", "grad_norm")]


def test_two_processes_that_share_a_card_tune_as_one_does(tmp_path: Path) -> None:
    """With captured calls, divided moments and a look of the watch; gloo in the place of NCCL."""
    alone = numbers(tmp_path / "one", "cuda", 1, 8)
    together = numbers(tmp_path / "two", "cuda", 2, 4)
    assert len(alone) == 8 and together == pytest.approx(alone, rel=5e-2)
