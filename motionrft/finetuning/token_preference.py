"""Preference tuning of a language model of motion tokens.

The untuned model is the same network with its adapters off (or an early copy), in the same batch and in evaluation mode,
so that z is exactly zero before the first update; an adapter's own dropout alone acts, on the tuned side.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.finetuning.methods.dpo import DpoPreset
from motionrft.finetuning.token_losses import pair_scores, token_loss
from motionrft.finetuning.token_pairs import BalancedStream, TokenPairs
from motionrft.finetuning.token_trainer import TokenTrainer
from motionrft.generators.motion_tokens import MotionTokens, TokenScores


class Rounds(Protocol):
    """Where new pairs come from."""

    def __call__(self, number: int) -> TokenPairs:
        """Pairs of the generator as it is now, maybe none; the first round is 0."""


class PairTrainer(TokenTrainer[int]):
    """Learns from pairs; an item is a pair's number.

    Args:
        frozen: inside this context the generator is the untuned one. rounds: of fresh candidates, where the method wants
            them. say: told what people should know. common: as `TokenTrainer` takes.
    """

    learnt_from = "pairs"

    def __init__(
        self,
        *common: Any,
        pairs: TokenPairs,
        frozen: Callable[[], AbstractContextManager[None]],
        rounds: Rounds | None = None,
        say: Callable[[str], None] = lambda _: None,
        **further: Any,
    ):
        super().__init__(*common, **further)
        assert isinstance(self.preset.method, DpoPreset)
        self.method, self.frozen, self.rounds, self.say = self.preset.method, frozen, rounds, say
        self.round, self.given = 0, pairs
        self._take(pairs)

    @property
    def size(self) -> int:
        return len(self.given)

    @property
    def texts(self) -> list[str]:
        return list(self.row_of)

    def _take(self, pairs: TokenPairs) -> None:
        self.pairs = pairs
        self.stream = BalancedStream(pairs.kinds, self.at_once, self.preset.seed + self.round, pairs.identity)
        texts = sorted(set(pairs.texts))
        self.row_of = {text: row for row, text in enumerate(texts)}
        with torch.no_grad():
            self.prompts = self.generator.encode_text(texts).to(self.generator.device)

    def batch(self, step: int) -> list[int]:
        fresh = self.method.fresh
        if self.rounds is not None and fresh and step // fresh > self.round:
            self.round = step // fresh
            found = self.rounds(self.round)
            if len(found):
                self._take(found)
            else:
                self.say(f"Round {self.round}: the judge finds no pair; those of the round before are kept.")
        return self.stream.next()

    def logged(self) -> dict[str, Any]:
        return {"round": self.round}

    def loss(self, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
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

    def _scores(self, items: Sequence[int], side: Any) -> TokenScores:
        rows = torch.tensor([self.row_of[self.pairs.texts[item]] for item in items])
        tokens: MotionTokens = self.pairs.tokens(side, items).to(self.generator.device)
        return self.generator.log_prob(self.prompts.index(rows.to(self.generator.device)), tokens)

    def place(self) -> dict[str, Any]:
        pairs = self.pairs.state_dict() if self.round else None
        return {"stream": self.stream.state_dict(), "round": self.round, "pairs": pairs}

    def go_to(self, place: dict[str, Any]) -> None:
        if self.round or place["round"]:
            self.round = place["round"]
            self._take(TokenPairs.of_state(place["pairs"]) if self.round else self.given)
        self.stream.load_state_dict(place["stream"])
