"""Several processes of one run, as `torchrun` starts them: forked, so that they share what is imported."""

import os
import socket
import sys
import traceback
from collections.abc import Callable

import accelerate  # noqa: F401 - imported once here, not in every child
import torch
import torch.nn.functional as F


def together(act: Callable[[int], int | None], count: int = 2) -> list[int]:
    """Call `act(rank)` in `count` processes that can meet; their exit codes, by rank.

    A process's code is what `act` returns, 70 where it raises.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            _act(act, rank, count, port)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _act(act: Callable[[int], int | None], rank: int, count: int, port: int) -> None:
    code = 70
    try:
        torch.set_num_threads(1)
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(count)}
        os.environ.update(place, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
        code = act(rank) or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def without_dropout(monkeypatch) -> None:
    """No two processes drop the same numbers, so only without it do several equal one."""
    attention = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "dropout", lambda x, *_, **__: x)
    monkeypatch.setattr(
        F,
        "scaled_dot_product_attention",
        lambda q, k, v, mask=None, dropout_p=0.0, **more: attention(q, k, v, mask, **more),
    )
