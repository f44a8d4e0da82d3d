"""Stage 2 of a token generator: its language model, by supervised training on texts and the tokens of their motions."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.generators.motion_tokens import MotionTokens, TokenScores
from motionrft.generators.token_generator import TokenGenerator
from motionrft.pretraining.averaged import BestAverage
from motionrft.pretraining.token_rows import RowBatches, TokenRow, TokenRows
from motionrft.training.distribution import ALONE, Distribution
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

    Every `validate_every` updates the averaged weights are validated, and the best are kept. With several processes each
    reads its rows of a batch, and the loss is that of all of them.

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
        company: Distribution = ALONE,
    ):
        self.generator, self.rows, self.validation = generator.eval(), train, validation
        self.settings, self.seed, self.company = settings, seed, company
        self.batches = RowBatches(train, settings.batch, seed)
        texts = sorted({""} | train.texts | {row.texts[0] for row in validation})
        company.first(lambda: generator.remember(texts))  # the others find them in the cache
        generator.remember(texts)
        generator.requires_grad_(False)
        self.network = generator.tuned.train().requires_grad_(True)
        self.optimiser = Optimiser(self.network, settings.optimiser, total=settings.updates, company=company)
        self.averaged = BestAverage(self.network, settings.ema)

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
        self.averaged.update()
        metrics = {"loss": loss.detach(), **report}
        if (step + 1) % self.settings.validate_every == 0:
            metrics["validation_loss"] = self._validate(step + 1)
        return metrics

    def _loss(self, texts: Sequence[str], tokens: MotionTokens, heard: MotionTokens | None) -> Tensor:
        """() of this process's rows, scaled so that the mean over the processes is the loss of the whole batch."""
        rows = self.company.rows(len(texts))
        own = torch.arange(len(texts))[rows]
        whole = int(tokens.counts.sum()) + len(texts) * self.generator.vocabulary.around
        sums = self._scored(texts[rows], tokens.index(own), None if heard is None else heard.index(own)).sums
        return -sums.sum() * self.company.processes / whole

    def _scored(
        self, texts: Sequence[str], tokens: MotionTokens, heard: MotionTokens | None = None
    ) -> TokenScores:
        prompts = self.generator.encode_text(texts).to(self.generator.device)
        return self.generator.log_prob(prompts, tokens, heard)

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
        """Loss of the averaged weights on the validation rows, of which every process reads its share."""
        total, count = 0.0, 0
        own = self.validation[self.company.rows(len(self.validation))]
        with self.averaged.validating():
            for start in range(0, len(own), self.settings.batch):
                rows = own[start : start + self.settings.batch]
                tokens = MotionTokens.of([row.tokens for row in rows])
                scores = self._scored([row.texts[0] for row in rows], tokens)
                total, count = total - float(scores.sums.sum()), count + int(scores.counts.sum())
        parts = self.company.gather((total, count))
        loss = sum(part for part, _ in parts) / sum(part for _, part in parts)
        self.averaged.seen(loss, step)
        return loss

    def use_best(self) -> None:
        """Give the generator the averaged weights of the best validation (the newest average where there was none)."""
        self.averaged.use()
        self.generator.eval()

    def state_dict(self) -> dict[str, Any]:
        return {
            "language_model": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            **self.averaged.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["language_model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.averaged.load_state_dict(state)
