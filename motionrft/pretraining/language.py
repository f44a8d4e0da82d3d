"""Stage 2 of a token generator: its language model, by supervised training on texts and the tokens of their motions."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.token_generator import TokenGenerator
from motionrft.pretraining.token_rows import RowBatches, TokenRow, TokenRows
from motionrft.training.ema import Ema
from motionrft.training.optimiser import Optimiser, OptimiserSettings
from motionrft.training.seeds import generator_for

_TEXTS_AT_ONCE = 512


class LanguageSettings(Protocol):
    """What the trainer reads from a preset's `language_model` group."""

    @property
    def updates(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def corrupt(self) -> float: ...
    @property
    def text_drop(self) -> float: ...
    @property
    def ema(self) -> float: ...
    @property
    def validate_every(self) -> int: ...
    @property
    def optimiser(self) -> OptimiserSettings: ...


class LanguageTrainer:
    """One optimiser update a call: mean negative log-probability of a batch's tokens, what ends a motion among them.

    Every `validate_every` updates the averaged weights are validated, and the best are kept.

    Args:
        validation: rows whose first text is read.
    """

    def __init__(
        self,
        generator: TokenGenerator,
        train: TokenRows,
        validation: Sequence[TokenRow],
        settings: LanguageSettings,
        seed: int,
    ):
        self.generator, self.rows, self.validation = generator.eval(), train, validation
        self.settings, self.seed = settings, seed
        self.batches = RowBatches(train, settings.batch, seed)
        generator.remember(sorted({""} | train.texts | {row.texts[0] for row in validation}))
        generator.requires_grad_(False)
        self.network = generator.tuned.train().requires_grad_(True)
        self.optimiser = Optimiser(self.network, settings.optimiser, total=settings.updates)
        self.ema = Ema(self.network, settings.ema)
        self.best: dict[str, Any] = {"loss": float("inf"), "step": 0, "weights": None}

    def update(self, step: int) -> dict[str, Any]:
        rows = [self.rows.rows[place] for place in self.batches[step].tolist()]
        draws = generator_for(self.seed, "language model", step)
        tokens = MotionTokens.of([row.tokens for row in rows])
        picks, drops = torch.rand(2, len(rows), generator=draws).tolist()
        texts = [
            "" if drop < self.settings.text_drop else row.texts[int(pick * len(row.texts))]
            for row, pick, drop in zip(rows, picks, drops, strict=True)
        ]
        loss = self._loss(texts, tokens, self._corrupted(tokens, draws))
        loss.backward()
        report = self.optimiser.step()
        self.ema.update()
        metrics = {"loss": loss.detach(), **report}
        if (step + 1) % self.settings.validate_every == 0:
            metrics["validation_loss"] = self._validate(step + 1)
        return metrics

    def _loss(self, texts: Sequence[str], tokens: MotionTokens, heard: MotionTokens | None = None) -> Tensor:
        prompts = self.generator.encode_text(texts).to(self.generator.device)
        scores = self.generator.log_prob(prompts, tokens, heard)
        return -scores.sums.sum() / scores.counts.sum()

    def _corrupted(self, tokens: MotionTokens, draws: torch.Generator) -> MotionTokens | None:
        """What the model hears in place of the tokens before: some are random ones, in each row another share.

        It has to go on well from its own mistakes.
        """
        if not self.settings.corrupt:
            return None
        shares = self.settings.corrupt * torch.rand(len(tokens), 1, generator=draws)
        wrong = torch.rand(tokens.codes.shape, generator=draws) < shares
        random = torch.randint(self.generator.vocabulary.codes, tokens.codes.shape, generator=draws)
        return MotionTokens(torch.where(wrong & tokens.mask, random, tokens.codes), tokens.counts)

    @torch.no_grad()
    def _validate(self, step: int) -> float:
        """Loss of the averaged weights on the validation rows."""
        self.network.eval()
        total, count = 0.0, 0
        with self.ema.applied():
            for start in range(0, len(self.validation), self.settings.batch):
                rows = self.validation[start : start + self.settings.batch]
                tokens = MotionTokens.of([row.tokens for row in rows])
                prompts = self.generator.encode_text([row.texts[0] for row in rows]).to(self.generator.device)
                scores = self.generator.log_prob(prompts, tokens)
                total, count = total - float(scores.sums.sum()), count + int(scores.counts.sum())
        self.network.train()
        loss = total / count
        if loss < self.best["loss"]:
            weights = {name: tensor.clone() for name, tensor in self.ema.average.items()}
            self.best = {"loss": loss, "step": step, "weights": weights}
        return loss

    def use_best(self) -> None:
        """Give the generator the averaged weights of the best validation (the newest average where there was none)."""
        weights = self.best["weights"] or self.ema.average
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(weights[name])
        self.generator.eval()

    def state_dict(self) -> dict[str, Any]:
        return {
            "language_model": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema.state_dict(),
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["language_model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema.load_state_dict(state["ema"])
        self.best = state["best"]
