"""Stage 1 of pre-training: a latent generator's autoencoder, on windows of clips."""

from typing import Any, Protocol

import torch

from motionrft.moving import moved
from motionrft.pretraining.first_stage import FirstStage, FirstStageSettings
from motionrft.pretraining.windows import Windows
from motionrft.training.optimiser import Optimiser, OptimiserSettings
from motionrft.training.seeds import generator_for


class AutoencoderSettings(FirstStageSettings, Protocol):
    """What the trainer reads from a preset's `autoencoder` group."""

    @property
    def updates(self) -> int: ...
    @property
    def decoder_only(self) -> bool: ...
    @property
    def optimiser(self) -> OptimiserSettings: ...


class AutoencoderTrainer:
    """One optimiser update a call: draw windows, reconstruct them, as the family's first stage says."""

    def __init__(
        self,
        stage: FirstStage,
        windows: Windows,
        settings: AutoencoderSettings,
        seed: int,
        device: torch.device | str = "cpu",
    ):
        self.stage, self.windows, self.settings = stage, windows, settings
        self.seed, self.device = seed, torch.device(device)
        if settings.decoder_only:
            stage.keep_encoder()
        autoencoder = stage.autoencoder.train()
        self.company = windows.company
        self.optimiser = Optimiser(
            autoencoder, settings.optimiser, total=settings.updates, company=self.company
        )

    def update(self, step: int) -> dict[str, Any]:
        motion, lengths = (moved(x, self.device) for x in self.windows[step])  # (b, T, D), (B,)
        draws = generator_for(self.seed, "posterior", step)
        losses = self.stage.losses(motion, lengths, draws, self.settings, self.company)
        losses["loss"].backward()
        report = self.optimiser.step()
        return {**{name: value.detach() for name, value in losses.items()}, **report}

    def state_dict(self) -> dict[str, Any]:
        return {
            "autoencoder": self.stage.autoencoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "stage": self.stage.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stage.autoencoder.load_state_dict(state["autoencoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.stage.load_state_dict(state.get("stage", {}))
