"""The first stage of a latent family: what training its autoencoder asks, and the latents that the second stage reads."""

from abc import ABC, abstractmethod
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from motionrft.data.motions import Motions
from motionrft.pretraining.codebook import CodebookSettings
from motionrft.pretraining.row_store import RowStore
from motionrft.pretraining.states import States
from motionrft.training.distribution import Distribution


class FirstStageSettings(Protocol):
    """What the losses read from a preset's `autoencoder` group."""

    @property
    def kl_weight(self) -> float: ...
    @property
    def motion_weight(self) -> float: ...
    @property
    def loss(self) -> Literal["joints", "features"]: ...
    @property
    def codebook(self) -> "Quantiser": ...


class Quantiser(CodebookSettings, Protocol):
    """What a VQ-VAE's losses read from `autoencoder.codebook`."""

    @property
    def commit(self) -> float: ...


class FirstStage(ABC):
    """An autoencoder of one kind. Concrete ones are final."""

    autoencoder: nn.Module

    @abstractmethod
    def losses(
        self,
        motion: Tensor,
        lengths: Tensor,
        draws: torch.Generator,
        settings: FirstStageSettings,
        company: Distribution,
    ) -> dict[str, Tensor]:
        """Scalar terms of a batch, `loss` is what is minimised.

        Args:
            motion: (b, T, D), normalised, zero beyond each length: this process's rows of the batch.
            lengths: (B,) frames, of all rows.
            draws: for posterior samples.
            company: whose rows these are. Terms are weighed so that their means over the processes are those of all rows.
        """

    @abstractmethod
    def keep_encoder(self) -> None:
        """From now on the decoder alone learns: what motions are encoded as, and what a second stage learnt, stays."""

    @abstractmethod
    def quality(self, motions: Motions) -> dict[str, float]:
        """`error_mm`, mean joint error of reconstructions, and `jitter_ratio`, their jitter over the clips' own."""

    def state_dict(self) -> dict[str, Any]:
        """What a training carries beside the autoencoder's weights."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        return None


class LatentStage(FirstStage):
    """The first stage of a latent diffusion, whose denoiser learns the latents."""

    @abstractmethod
    def latents(self, motions: Motions, store: RowStore, mirrored: bool = False) -> States:
        """Encode every clip once with the trained autoencoder, into the store, whose company shares the work."""

    @abstractmethod
    def whiten(self, latents: Any) -> None:
        """Set the generator's `latent_mean` and `latent_std` from these latents of the training clips."""
