"""Stage 2 of pre-training: the denoiser, on latents of the frozen autoencoder."""

from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.data.batches import BalancedBatches
from motionrft.data.folder import MotionDataset
from motionrft.diffusion.parametrisation import training_target
from motionrft.diffusion.schedule import broadcast
from motionrft.files.captions import mirror_caption
from motionrft.generators.mld import Mld
from motionrft.pretraining.latents import encode_dataset, whitening
from motionrft.training.ema import Ema
from motionrft.training.optimiser import Optimiser, OptimiserSettings
from motionrft.training.seeds import generator_for

_TEXTS_AT_ONCE = 512
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
    def loss_weight_cap(self) -> float: ...
    @property
    def ema(self) -> float: ...
    @property
    def validate_every(self) -> int: ...
    @property
    def patience(self) -> int: ...
    @property
    def optimiser(self) -> OptimiserSettings: ...


class DenoiserTrainer:
    """One optimiser update a call; every `validate_every` updates the averaged weights are validated, the best kept."""

    def __init__(
        self,
        generator: Mld,
        train: MotionDataset,
        validation: MotionDataset,
        settings: DenoiserSettings,
        seed: int,
        mirror: bool = True,
        dtype: torch.dtype = torch.float32,
    ):
        self.dtype = dtype
        self.generator, self.train, self.validation, self.settings = (
            generator.eval(),
            train,
            validation,
            settings,
        )
        self.seed, self.mirror = seed, mirror
        self.device = generator.mean.device
        self.batches = BalancedBatches(train, settings.batch, seed, group=_GROUP)
        self.latents = [encode_dataset(generator, train)]
        if mirror:
            self.latents.append(encode_dataset(generator, train, mirrored=True))
        self.validation_latents = encode_dataset(generator, validation)
        latent_mean, latent_std = whitening(self.latents[0])
        generator.latent_mean.copy_(latent_mean)
        generator.latent_std.copy_(latent_std)
        self._encode_texts()
        denoiser = generator.denoiser.train().requires_grad_(True)
        self.optimiser = Optimiser(denoiser, settings.optimiser, total=settings.updates)
        self.ema = Ema(denoiser, settings.ema)
        self.best: dict[str, Any] = {"loss": float("inf"), "step": 0, "weights": None}

    def update(self, step: int) -> dict[str, Any]:
        draws = generator_for(self.seed, "denoiser", step)
        items = self.batches[step]
        # A whole batch is mirrored or none of it: labels stay told apart, and padding is shared.
        side = int(torch.randint(len(self.latents), (), generator=draws))
        x0 = self.latents[side].draw(items, draws)
        texts = self._texts(items, side == 1, draws)
        t = self.generator.schedule.draw_times(len(items), draws)
        noise = torch.randn(x0.shape, generator=draws)
        loss = self._loss(x0, self.train.lengths[items], texts, t, noise, self.settings.loss_weight_cap)
        loss.backward()
        report = self.optimiser.step()
        self.ema.update()
        metrics = {"loss": loss.item(), **report}
        if (step + 1) % self.settings.validate_every == 0:
            metrics["validation_loss"] = self._validate(step + 1)
        return metrics

    def ended(self, step: int) -> str | None:
        """A sentence once `patience` validations in a row were no better than the best before them."""
        waited = (step - self.best["step"]) // self.settings.validate_every
        if not self.settings.patience or self.best["weights"] is None or waited < self.settings.patience:
            return None
        return f"the validation loss has not fallen since update {self.best['step']}"

    def use_best(self) -> None:
        """Give the generator the averaged weights of the best validation (the newest average where there was none)."""
        weights = self.best["weights"] or self.ema.average
        with torch.no_grad():
            for name, parameter in self.generator.denoiser.named_parameters():
                parameter.copy_(weights[name])
        self.generator.eval()

    def state_dict(self) -> dict[str, Any]:
        return {
            "denoiser": self.generator.denoiser.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema.state_dict(),
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.denoiser.load_state_dict(state["denoiser"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema.load_state_dict(state["ema"])
        self.best = state["best"]

    def _loss(
        self, x0: Tensor, lengths: Tensor, texts: list[str], t: Tensor, noise: Tensor, cap: float
    ) -> Tensor:
        """Masked mean squared error of the network's target; x0 (B, tokens, d_z) is not whitened yet."""
        g = self.generator
        x0, lengths, t, noise = (x.to(self.device) for x in (x0, lengths, t, noise))
        x0 = (x0 - g.latent_mean) / g.latent_std
        alpha, sigma = (broadcast(level, x0) for level in g.schedule.levels(t))
        state = g.schedule.add_noise(x0, noise, t)
        condition = g.encode_text(texts)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            prediction = g.predict(state, t, condition, lengths, guidance=1.0)
        error = (prediction.float() - training_target(g.parametrisation, x0, noise, alpha, sigma)) ** 2
        error = error * (sigma / alpha).square().clamp(1.0, cap)
        mask = g.state_mask(state, lengths)
        return error.mean() if mask is None else (error * mask).sum() / (mask.sum() * error.shape[-1])

    @torch.no_grad()
    def _validate(self, step: int) -> float:
        """Unweighted loss of the averaged weights on the validation split, the same noise every time."""
        self.generator.denoiser.eval()
        losses, counts = [], []
        with self.ema.applied():
            for start in range(0, len(self.validation), self.settings.batch):
                items = torch.arange(start, min(start + self.settings.batch, len(self.validation)))
                draws = generator_for(self.seed, "validation", start)
                texts = [self.validation.items[int(item)].captions[0].text for item in items]
                for _ in range(_VALIDATION_DRAWS):
                    x0 = self.validation_latents.draw(items, draws)
                    t = self.generator.schedule.draw_times(len(items), draws)
                    noise = torch.randn(x0.shape, generator=draws)
                    losses.append(self._loss(x0, self.validation.lengths[items], texts, t, noise, 1.0))
                    counts.append(len(items))
        self.generator.denoiser.train()
        weights = torch.tensor(counts, dtype=torch.float32)
        loss = float((torch.stack(losses).cpu() * weights).sum() / weights.sum())
        if loss < self.best["loss"]:
            self.best = {
                "loss": loss,
                "step": step,
                "weights": {name: tensor.clone() for name, tensor in self.ema.average.items()},
            }
        return loss

    def _texts(self, items: Tensor, mirrored: bool, draws: torch.Generator) -> list[str]:
        """One caption an item, some replaced by the null text."""
        pick, drop = torch.rand(2, len(items), generator=draws).tolist()
        texts = []
        for item, p, d in zip(items.tolist(), pick, drop, strict=True):
            captions = self.train.items[item].captions
            caption = captions[int(p * len(captions))].text
            texts.append(
                "" if d < self.settings.text_drop else mirror_caption(caption) if mirrored else caption
            )
        return texts

    def _encode_texts(self) -> None:
        """Meet every text once, so that the text encoder leaves memory before training starts."""
        texts = {"", *self.train.texts, *(item.captions[0].text for item in self.validation.items)}
        if self.mirror:
            texts |= {mirror_caption(text) for text in self.train.texts}
        ordered = sorted(texts)
        for start in range(0, len(ordered), _TEXTS_AT_ONCE):
            self.generator.text_encoder.encode(ordered[start : start + _TEXTS_AT_ONCE])
