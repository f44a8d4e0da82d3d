"""Stage 2 of pre-training: the denoiser of any family, on clean states and captions."""

from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.data.batches import BalancedBatches
from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.files.captions import mirror_caption
from motionrft.generators.base import Condition, Generator
from motionrft.pretraining.averaged import BestAverage
from motionrft.pretraining.objective import Objective
from motionrft.pretraining.states import Splits
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.optimiser import Optimiser, OptimiserSettings
from motionrft.training.seeds import generator_for

_MOST_TOKENS = 512
_GROUP = 8
"""Batches that share their items out by length."""
_VALIDATION_DRAWS = 4
"""Noise levels drawn for each validation clip: enough that two validations of one model agree to a percent."""


class DenoiserSettings(Protocol):
    """What the trainer reads from a preset's `denoiser` group."""

    @property
    def updates(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def text_drop(self) -> float: ...
    @property
    def token_drop(self) -> float: ...
    @property
    def ema(self) -> float: ...
    @property
    def validate_every(self) -> int: ...
    @property
    def patience(self) -> int: ...
    @property
    def optimiser(self) -> OptimiserSettings: ...


class DenoiserTrainer:
    """One optimiser update a call; every `validate_every` updates the averaged weights are validated, the best kept.

    With several processes each reads, and runs the network on, its rows of the batch, and validates on some batches.

    Families that see padding (`Generator.sees_padding`) see zeros there, as in their published training; batches of
    like lengths leave little of it.

    Args:
        objective: what is minimised; it runs `generator`, whose `trained` part is updated.
        train, validation: whose captions and lengths belong to `states`.

    Raises:
        UserError: tokens are to be dropped, and the generator reads one vector a text.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective,
        states: Splits,
        train: MotionDataset,
        validation: MotionDataset,
        settings: DenoiserSettings,
        seed: int,
        company: Distribution = ALONE,
    ):
        self.generator, self.objective, self.states = generator.eval(), objective, states
        self.train, self.validation = train, validation
        self.settings, self.seed = settings, seed
        self.company = company
        company.check_batch(settings.batch)
        self.batches = BalancedBatches(train, settings.batch, seed, group=_GROUP)
        self.company.first(self._encode_texts)  # the others find them in the cache
        self._encode_texts()
        self._check_tokens()
        self.network = generator.trained.train().requires_grad_(True)
        self.optimiser = Optimiser(
            self.network, settings.optimiser, total=settings.updates, company=self.company
        )
        self.averaged = BestAverage(self.network, settings.ema)

    def update(self, step: int) -> dict[str, Any]:
        draws = generator_for(self.seed, "denoiser", step)
        items = self.batches[step]
        # A whole batch is mirrored or none of it: labels stay told apart, and padding is shared.
        side = int(torch.randint(len(self.states.train), (), generator=draws))
        rows = self.company.rows(len(items))
        x0, lengths = self.states.train[side].draw(items, draws, rows)  # (b, ...), (B,)
        self.states.train[side].expect(self.batches[step + 1][rows])
        texts, dropped = self._texts(items, side == 1, draws, rows)
        condition = self._with_words_dropped(
            self.generator.encode_for_training(texts, dropped), dropped, draws, rows
        )
        loss = self.objective.loss(x0, lengths, condition, draws, self.company)
        loss.backward()
        report = self.optimiser.step()
        self.averaged.update()
        self.objective.stepped()
        metrics = {"loss": loss.detach(), **report}
        if (step + 1) % self.settings.validate_every == 0:
            metrics["validation_loss"] = self._validate(step + 1)
        return metrics

    def ended(self, step: int) -> str | None:
        """A sentence once `patience` validations in a row were no better than the best before them."""
        waited = (step - self.averaged.step) // self.settings.validate_every
        if not self.settings.patience or not self.averaged.step or waited < self.settings.patience:
            return None
        return f"the validation loss has not fallen since update {self.averaged.step}"

    def use_best(self) -> None:
        """Give the generator the averaged weights of the best validation (the newest average where there was none)."""
        self.averaged.use()
        self.generator.eval()

    def state_dict(self) -> dict[str, Any]:
        return {
            "denoiser": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state_dict(),
            **self.averaged.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["denoiser"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.objective.load_state_dict(state["objective"])
        self.averaged.load_state_dict(state)

    @torch.no_grad()
    def _validate(self, step: int) -> float:
        """Loss of the averaged weights on the validation split, the same noise every time."""
        losses, counts = [], []
        starts = range(0, len(self.validation), self.settings.batch)
        with self.averaged.validating():
            for start in starts[self.company.place :: self.company.processes]:
                items = torch.arange(start, min(start + self.settings.batch, len(self.validation)))
                draws = generator_for(self.seed, "validation", start)
                texts = [self.validation.items[int(item)].captions[0].text for item in items]
                condition = self.generator.encode_text(texts)
                for _ in range(_VALIDATION_DRAWS):
                    x0, lengths = self.states.validation.draw(items, draws)
                    losses.append(self.objective.validation_loss(x0, lengths, condition, draws))
                    counts.append(len(items))
        found = torch.stack(losses).cpu() if losses else torch.zeros(0)
        parts = self.company.gather((found, torch.tensor(counts, dtype=torch.float32)))
        told, weights = (torch.cat(part) for part in zip(*parts, strict=True))  # (batches x draws,) each
        loss = float((told * weights).sum() / weights.sum())
        self.averaged.seen(loss, step)
        return loss

    def _texts(
        self, items: Tensor, mirrored: bool, draws: torch.Generator, rows: slice
    ) -> tuple[list[str], Tensor | None]:
        """One caption of each of those rows of the items (B,), and (b,) which are dropped; None where none ever is."""
        pick, drop = torch.rand(2, len(items), generator=draws)[:, rows]
        texts = []
        for item, p in zip(items[rows].tolist(), pick.tolist(), strict=True):
            captions = self.train.items[item].captions
            caption = captions[int(p * len(captions))].text
            texts.append(mirror_caption(caption) if mirrored else caption)
        return texts, drop < self.settings.text_drop if self.settings.text_drop else None

    def _with_words_dropped(
        self, condition: Condition, dropped: Tensor | None, draws: torch.Generator, rows: slice
    ) -> Condition:
        """Without some token states of each caption, so that a prompt of other words is met half-way.

        Word dropout, of contextual states (Iyyer et al. 2015, "Deep unordered composition", section 4). The first token
        stays, and the null text (`dropped`, (b,) bool) is left whole.
        """
        if not self.settings.token_drop:
            return condition
        # Drawn for as many as a text may have: a batch's padding, which processes do not share, changes nothing.
        tokens = condition.text.tokens.shape[1]
        hidden = torch.rand(self.settings.batch, max(tokens, _MOST_TOKENS), generator=draws)
        hidden = hidden[rows, :tokens] < self.settings.token_drop  # (b, L)
        hidden[:, 0] = False
        if dropped is not None:
            hidden &= ~dropped[:, None]
        return replace(condition, text=condition.text.without(hidden))

    def _check_tokens(self) -> None:
        if not self.settings.token_drop:
            return
        longest = max(self.train.texts, key=len)  # the null text may be one token
        if self.generator.encode_text([longest]).text.tokens.shape[1] == 1:
            raise UserError(
                "denoiser.token_drop hides some of a caption's token states, and this generator reads one vector a text. "
                "Leave it at 0."
            )

    def _encode_texts(self) -> None:
        """Meet every text once, so that the text encoder leaves memory before training starts."""
        texts = {"", *self.train.texts, *(item.captions[0].text for item in self.validation.items)}
        if len(self.states.train) > 1:
            texts |= {mirror_caption(text) for text in self.train.texts}
        self.generator.text_encoder.remember(sorted(texts))
