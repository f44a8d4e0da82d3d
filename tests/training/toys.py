"""A trainer small enough to be run hundreds of times: dropout, data order and noise, all of them random."""

import os
from collections.abc import Callable

import torch
from torch import nn

from motionrft.training.cursor import StreamCursor
from motionrft.training.ema import Ema
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.seeds import seed_everything

UPDATES = 12


class ToyTrainer:
    """Regression with dropout (torch's global generator), a generator of its own, an EMA and a data cursor.

    before: called with the number of updates made before each update; tests plant their faults there.
    updates_at_once: metrics lines a call returns.
    """

    def __init__(self, before: Callable[[int], None] | None = None, updates_at_once: int = 1) -> None:
        seed_everything(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.optimiser = Optimiser(self.model, AdamWSettings(lr=1e-2, warmup=3), total=UPDATES)
        self.ema = Ema(self.model)
        self.data = torch.randn(11, 4)
        self.cursor = StreamCursor(len(self.data), batch=4, seed=3, identity="toy")
        self.noise = torch.Generator().manual_seed(5)
        self.before, self.updates_at_once = before, updates_at_once

    def update(self, step: int) -> list[dict[str, float]]:
        return [self._one(step + i) for i in range(self.updates_at_once)]

    def _one(self, step: int) -> dict[str, float]:
        if self.before is not None:
            self.before(step)
        inputs = self.data[self.cursor.next()]
        loss = (self.model(inputs) - torch.randn(4, 1, generator=self.noise)).square().mean()
        loss.backward()
        numbers = self.optimiser.step()
        self.ema.update()
        return {"loss": loss.item(), **numbers}

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema.state_dict(),
            "cursor": self.cursor.state_dict(),
            "noise": self.noise.get_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema.load_state_dict(state["ema"])
        self.cursor.load_state_dict(state["cursor"])
        self.noise.set_state(state["noise"])

    def everything(self) -> list[torch.Tensor]:
        """What two runs must agree in, bit for bit."""
        return [*self.model.state_dict().values(), *self.ema.average.values(), self.noise.get_state()]


def in_child(work: Callable[[], int]) -> int:
    """Run `work` in a forked process; its exit code, or minus the signal that ended it.

    A fork and no fresh interpreter, because importing torch fifty times would take minutes.
    """
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
