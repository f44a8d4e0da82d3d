"""Several processes tune under a watch that all of them look through: they meet at every save, and resume."""

import os
import socket
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import accelerate  # noqa: F401 - imported once here, not in every child
import pytest
import torch

from motionrft.finetuning import run as running
from motionrft.finetuning.run import FinetuneRun
from motionrft.finetuning.watch import Looks, Seen, watch_for
from motionrft.training.distribution import Distribution
from motionrft.training.run import RunFolder
from tests.finetuning.test_run import parts, preset, session  # noqa: F401 - `parts` is a fixture

STEADY = {"mm_dist": 1.0, "jitter": 1.0, "skating_ratio": 0.1, "motion_energy": 1.0}


def _tuned(wanted, out: Path, distribution: Distribution, resume: bool) -> int:
    """A run as `finetune` makes it, looking at made-up numbers in the place of an evaluation."""
    folder = distribution.first(lambda: RunFolder.open(out, wanted.plain(), {}, resume=resume))
    with folder or nullcontext():
        tuning = FinetuneRun(wanted, session(out, resume=resume), distribution)
        tuning.trainer.watch = watch_for(wanted.watch)
        tuning.parts = SimpleNamespace(validation="made up", reward=tuning.parts.reward)
        return tuning.train(folder).step


def _act(wanted, out: Path, rank: int, count: int, port: int, resume: bool) -> NoReturn:
    code = 70
    try:
        torch.set_num_threads(1)
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(count)}
        os.environ.update(place, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
        running.Looks = lambda settings, watch, sample, *rest: Looks(settings, watch, _made_up, *rest)
        with Distribution.join(torch.device("cpu"), timeout=60) as distribution:
            code = _tuned(wanted, out, distribution, resume)
    finally:
        os._exit(code)


def _made_up(*_: object) -> Seen:
    return Seen(STEADY, dict.fromkeys(STEADY, 0.1))


@pytest.mark.parametrize("count", [3])
def test_a_watched_run_of_several_processes_ends_and_resumes(parts, count):  # noqa: F811
    out = parts / "run"
    for updates, resume in ((8, False), (12, True)):
        wanted = preset(parts, updates=updates, watch={"every": 4}, checkpoint_every=4)
        if resume:
            (out / "preset.yaml").write_text(wanted.to_yaml())  # the same run, planned longer
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = []
        for rank in range(count):
            child = os.fork()
            if child == 0:
                _act(wanted, out, rank, count, port, resume)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [updates] * count, "a process's code is the updates it made"
    assert (out / "LATEST").read_text() == "step-12\n" and (out / "BEST").is_file()
