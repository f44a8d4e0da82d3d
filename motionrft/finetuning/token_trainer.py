"""The trainer of a language model of motion tokens: a batch becomes a loss, and the loss an update.

The network is in evaluation mode; an adapter's own dropout alone acts. Several processes draw one batch, as large as all
of theirs, and each computes its share of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from motionrft.finetuning.preset import FinetunePreset
from motionrft.generators.token_generator import TokenGenerator
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.memory import GraphBytes
from motionrft.training.optimiser import Optimiser
from motionrft.training.watch import Watch

Item = TypeVar("Item")


class TokenTrainer(ABC, Generic[Item]):
    """One update a call. Concrete trainers say what a batch holds and what its loss is.

    Args:
        parameters: what is trained, by name. autocast: the precision of the arithmetic. total: updates of the whole run.
    """

    learnt_from: ClassVar[str]
    """What a run counts: pairs, motions."""

    def __init__(
        self,
        preset: FinetunePreset,
        generator: TokenGenerator,
        parameters: list[tuple[str, nn.Parameter]],
        autocast: Callable[[], AbstractContextManager[object]],
        *,
        total: int | None = None,
        watch: Watch | None = None,
        dtype: torch.dtype = torch.float32,
        company: Distribution = ALONE,
    ):
        self.preset, self.generator, self.autocast, self.watch = preset, generator, autocast, watch
        self.parameters, self.total, self.company = dict(parameters), total, company
        self.at_once = preset.batch * company.processes
        """What all processes draw for an update: prompts, pairs or motions."""
        self.optimiser = Optimiser(parameters, preset.optimiser, total=total, dtype=dtype, company=company)
        self.meter = GraphBytes([generator], generator.device)

    @property
    @abstractmethod
    def size(self) -> int:
        """How many of them there are."""

    @property
    @abstractmethod
    def texts(self) -> list[str]:
        """All that the generator reads."""

    @abstractmethod
    def batch(self, step: int) -> Sequence[Item]:
        """The next batch."""

    @abstractmethod
    def loss(self, items: Sequence[Item]) -> tuple[Tensor, dict[str, Tensor]]:
        """() loss of some of a batch, and what to log of them, () each, detached."""

    @abstractmethod
    def place(self) -> dict[str, Any]:
        """Where in its material the trainer is, for a checkpoint."""

    @abstractmethod
    def go_to(self, place: dict[str, Any]) -> None:
        """Go on where `place` was."""

    def weight(self, items: Sequence[Item]) -> float:
        """How much the loss of some items counts beside that of others."""
        return len(items)

    def logged(self) -> dict[str, Any]:
        """What to log of an update beside its loss."""
        return {}

    def update(self, step: int) -> dict[str, Any]:
        """One batch, of which this process takes its share, `micro_batch` items at a time."""
        items = self.batch(step)
        own = items[self.company.rows(len(items))]
        size = self.preset.micro_batch or max(len(own), 1)
        numbers: dict[str, Tensor] = {}
        self.meter.reset()
        with self.meter, self._learning():
            for start in range(0, len(own), size):
                chosen = own[start : start + size]
                # Gradients and numbers are averaged over the processes: each counts as much as all items let it.
                share = self.weight(chosen) / self.weight(items) * self.company.processes
                loss, told = self.loss(chosen)
                self.meter.mark()
                self.optimiser.backward(loss * share)
                for name, value in told.items():
                    numbers[name] = numbers.get(name, torch.zeros_like(value)) + value * share
        made = self.optimiser.step()
        return {**numbers, **self.logged(), **made, "graph_bytes": self.meter.peak}

    @contextmanager
    def _learning(self) -> Iterator[None]:
        """Evaluation mode but for the adapters' own dropout."""
        dropouts = [m for name, m in self.generator.tuned.named_modules() if "lora_dropout" in name]
        for module in dropouts:
            module.train()
        try:
            yield
        finally:
            for module in dropouts:
                module.eval()

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": {name: p.detach() for name, p in self.parameters.items()},
            "optimiser": self.optimiser.state_dict(),
            **self.place(),
            "watch": self.watch.state_dict() if self.watch else None,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.optimiser.total = self.total
        self.go_to(state)
        if self.watch is not None and state["watch"] is not None:
            self.watch.load_state_dict(state["watch"])
