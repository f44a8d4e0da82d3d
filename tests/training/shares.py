"""One process of a distributed run, for `test_distribution`."""

import json
import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from motionrft.errors import Interrupted, RunError, UserError
from motionrft.training import stop_notice
from motionrft.training.cursor import StreamCursor
from motionrft.training.distribution import Distribution
from motionrft.training.loop import train
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.run import RunFolder


class Share:
    """Linear regression; what matters is which items and which gradients a process sees."""

    def __init__(self, distribution: Distribution, batch: int, fault: str = "") -> None:
        torch.manual_seed(0)
        self.rank, self.fault = distribution.rank, fault
        self.model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
        self.optimiser = Optimiser(self.model, AdamWSettings(lr=0.05), company=distribution)
        self.cursor = StreamCursor(
            20, batch, seed=1, rank=distribution.rank, processes=distribution.processes
        )
        self.data = torch.randn(20, 5, generator=torch.Generator().manual_seed(9))

    def update(self, step: int) -> dict[str, float]:
        if self.fault == "stop" and step == 4 and self.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.fault == "die" and step == 4 and self.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        items = self.data[self.cursor.next()]
        loss = (self.model(items)[:, 0] - items.square().sum(1)).square().mean()
        loss.backward()
        return {"loss": loss.item(), **self.optimiser.step()}

    def state_dict(self) -> dict:
        parts = {"model": self.model, "optimiser": self.optimiser, "cursor": self.cursor}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.cursor.load_state_dict(state["cursor"])

    def flat(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])


def run_share(path: Path, fault: str) -> NoReturn:
    """Train as one of two processes, and leave this (forked) process with the code the command line would give."""
    code, words = 1, "ended by an error of its own"
    try:
        code, words = 0, json.dumps(_train(path, fault).tolist())
    except Interrupted as error:
        code, words = error.exit_code, str(error)
    except UserError as error:
        code, words = 2, str(error)
    except RunError as error:
        words = str(error)
    finally:
        path.with_name(f"{path.name}.{os.environ['RANK']}").write_text(words)
        os._exit(code)


def _train(path: Path, fault: str) -> Tensor:
    torch.set_num_threads(1)
    stop_notice._GRACE = (0.3, 5.0)
    resume = fault == "resume"
    with Distribution.join(torch.device("cpu"), timeout=20) as distribution:
        folder = distribution.first(lambda: RunFolder.open(path, {}, {}, resume=resume))
        share = Share(distribution, batch=3, fault=fault)
        with folder or nullcontext():
            if fault == f"stop {distribution.rank} outside":
                os.kill(os.getpid(), signal.SIGTERM)
            elif fault.endswith("while busy"):
                os.kill(os.getpid(), signal.SIGTERM) if distribution.rank else time.sleep(60)
            train(share, folder, updates=8, checkpoint_every=3, distribution=distribution)
    return share.flat()
