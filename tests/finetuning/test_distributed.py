"""Two processes fine-tune as one with twice the batch does: trajectories, rewards and references included."""

import json
import os
import socket
from pathlib import Path
from typing import NoReturn

import accelerate  # noqa: F401 - imported once here, not in every child
import pytest
import torch

from motionrft.finetuning.preset import FinetunePreset
from motionrft.training.distribution import Distribution
from motionrft.training.loop import train
from tests.finetuning.small import small_preset, small_trainer

METHODS = [
    {"method": "easytune", "k": 4},
    {"method": "easytune-chain", "k": 4},
    {"method": "draft", "k": 2},
    {"method": "ddpo", "group": 2},
    {"method": "easytune", "k": 4, "divided": True},
    {"method": "easytune-chain", "k": 4, "divided": True, "lora": True},
]


def _preset(method: dict, batch: int) -> FinetunePreset:
    """`divided` and `lora` are no fields of a method."""
    method = dict(method)
    more: dict = {"optimiser": {"lr": 1e-3, "divided": method.pop("divided", False)}}
    more |= {"lora": {"enabled": method.pop("lora", False), "rank": 2}}
    if method["method"] == "ddpo":
        more |= {"eta": 1.0, "steps": 5}
    return small_preset(method=method, batch=batch, updates=6, **more)


def _tuned(method: dict, batch: int, distribution: Distribution) -> list[float]:
    trainer = small_trainer(_preset(method, batch), distribution=distribution)
    train(trainer, updates=6, distribution=distribution)
    return torch.cat([p.detach().flatten() for p in trainer.parameters.values()]).tolist()


def _run_share(method: dict, out: Path, rank: int, port: int) -> NoReturn:
    code = 1
    try:
        torch.set_num_threads(1)
        place = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
        }
        os.environ.update(place, WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
        with Distribution.join(torch.device("cpu"), timeout=30) as distribution:
            (out / str(rank)).write_text(json.dumps(_tuned(method, 3, distribution)))
        code = 0
    finally:
        os._exit(code)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: "-".join(map(str, method.values())))
def test_two_processes_equal_one_with_twice_the_batch(method: dict, tmp_path: Path) -> None:
    alone = torch.tensor(_tuned(method, 6, Distribution()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            _run_share(method, tmp_path, rank, port)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    first, second = (torch.tensor(json.loads((tmp_path / str(rank)).read_text())) for rank in range(2))
    assert torch.equal(first, second)
    start = torch.tensor(_start(method))
    moved = (alone - start).abs().max()
    assert (first - alone).abs().max() < 1e-2 * moved  # AdamW turns rounding of tiny gradients into steps


def _start(method: dict) -> list[float]:
    trainer = small_trainer(_preset(method, 6))
    return torch.cat([p.detach().flatten() for p in trainer.parameters.values()]).tolist()
