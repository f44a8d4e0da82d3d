"""On a real GPU: NCCL carries every message of a company, and leaves captures beside it alone."""

import subprocess
import sys

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
