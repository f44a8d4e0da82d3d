"""The trainer of a language model of motion tokens: pairs become a loss, and the loss an update.

The untuned model is the same network with its adapters off (or an early copy), in the same batch and in evaluation mode,
so that z is exactly zero before the first update; an adapter's own dropout alone acts, on the tuned side.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from motionrft.finetuning.methods.dpo import DpoPreset
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.token_losses import pair_scores, token_loss
from motionrft.finetuning.token_pairs import BalancedStream, TokenPairs
from motionrft.generators.motion_tokens import MotionTokens, TokenScores
from motionrft.generators.token_generator import TokenGenerator
from motionrft.training.memory import GraphBytes
from motionrft.training.optimiser import Optimiser
from motionrft.training.watch import Watch


class Rounds(Protocol):
    """Where new pairs come from."""

    def __call__(self, number: int) -> TokenPairs:
        """Pairs of the generator as it is now, maybe none; the first round is 0."""


class TokenTrainer:
    """One update a call.

    Args:
        frozen: inside this context the generator is the untuned one. autocast: the precision of the arithmetic.
        parameters: what is trained, by name. rounds: of fresh candidates, where the method wants them.
        total: updates of the whole run. say: told what people should know.
    """

    def __init__(
        self,
        preset: FinetunePreset,
        generator: TokenGenerator,
        pairs: TokenPairs,
        frozen: Callable[[], AbstractContextManager[None]],
        parameters: list[tuple[str, nn.Parameter]],
        autocast: Callable[[], AbstractContextManager[object]],
        *,
        total: int | None = None,
        rounds: Rounds | None = None,
        watch: Watch | None = None,
        dtype: torch.dtype = torch.float32,
        say: Callable[[str], None] = lambda _: None,
    ):
        assert isinstance(preset.method, DpoPreset)
        self.preset, self.method, self.generator = preset, preset.method, generator
        self.frozen, self.autocast, self.rounds, self.watch = frozen, autocast, rounds, watch
        self.parameters, self.total, self.say = dict(parameters), total, say
        self.optimiser = Optimiser(parameters, preset.optimiser, total=total, dtype=dtype)
        self.meter = GraphBytes([generator], generator.device)
        self.round, self.given = 0, pairs
        self._take(pairs)

    def _take(self, pairs: TokenPairs) -> None:
        self.pairs = pairs
        self.stream = BalancedStream(
            pairs.kinds, self.preset.batch, self.preset.seed + self.round, pairs.identity
        )
        texts = sorted(set(pairs.texts))
        self.row_of = {text: row for row, text in enumerate(texts)}
        with torch.no_grad():
            self.prompts = self.generator.encode_text(texts).to(self.generator.device)

    def update(self, step: int) -> dict[str, Any]:
        """One batch of pairs."""
        fresh = self.method.fresh
        if self.rounds is not None and fresh and step // fresh > self.round:
            self.round = step // fresh
            found = self.rounds(self.round)
            if len(found):
                self._take(found)
            else:
                self.say(f"Round {self.round}: the judge finds no pair; those of the round before are kept.")
        items = self.stream.next()
        size = self.preset.micro_batch or len(items)
        numbers: dict[str, Tensor] = {}
        self.meter.reset()
        with self.meter, self._learning():
            for start in range(0, len(items), size):
                chosen = items[start : start + size]
                share = len(chosen) / len(items)
                loss, told = self.loss(chosen)
                self.meter.mark()
                self.optimiser.backward(loss * share)
                for name, value in told.items():
                    numbers[name] = numbers.get(name, torch.zeros_like(value)) + value * share
        made = self.optimiser.step()
        return {**numbers, "round": self.round, **made, "graph_bytes": self.meter.peak}

    def loss(self, items: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """() mean loss of some pairs with its guard, and what to log of them, () each, detached."""
        method = self.method
        with self.autocast():
            won, lost = (self._scores(items, side) for side in ("better", "worse"))
            with torch.no_grad(), self.frozen():
                won_before, lost_before = (self._scores(items, side) for side in ("better", "worse"))
        each = (won, lost, won_before, lost_before)
        mean, scores = (pair_scores(*each, averages=averages) for averages in (True, method.averages))
        smoothing = torch.tensor([self.pairs.smoothing[item] for item in items])
        losses = token_loss(method.loss, scores, method.strength("tokens"), smoothing)
        fallen = torch.relu(-mean.won_drift).mean()  # nats a token
        loss = losses.mean() + method.guard * fallen
        told = {
            "loss": loss,
            "accuracy": (scores.gap > 0).float().mean(),
            "gap": mean.gap.mean(),
            "won_drift": mean.won_drift.mean(),
            "lost_drift": mean.lost_drift.mean(),
        }
        return loss, {name: value.detach().float() for name, value in told.items()}

    def _scores(self, items: list[int], side: Any) -> TokenScores:
        rows = torch.tensor([self.row_of[self.pairs.texts[item]] for item in items])
        tokens: MotionTokens = self.pairs.tokens(side, items).to(self.generator.device)
        return self.generator.log_prob(self.prompts.index(rows.to(self.generator.device)), tokens)

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
            "stream": self.stream.state_dict(),
            "round": self.round,
            "pairs": self.pairs.state_dict() if self.round else None,
            "watch": self.watch.state_dict() if self.watch else None,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.optimiser.total = self.total
        if self.round or state["round"]:
            self.round = state["round"]
            self._take(TokenPairs.of_state(state["pairs"]) if self.round else self.given)
        self.stream.load_state_dict(state["stream"])
        if self.watch is not None and state["watch"] is not None:
            self.watch.load_state_dict(state["watch"])
