"""What a latent generator needs from its autoencoder."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module, ABC):
    """Motion features to a short sequence of latent tokens, and back. Works on *normalised* features.

    Concrete autoencoders are final: `MldVae` (a fixed number of tokens, transformer) and
    `ConvolutionalAutoencoder` (tokens in proportion to the frames).
    """

    features: int
    """F of the motion."""
    width: int
    """d_z of one latent token."""
    ENCODES: ClassVar[tuple[str, ...]]
    """Its parts that encode alone; without them latents keep their meaning."""

    @abstractmethod
    def tokens(self, frames: int) -> int:
        """Latent tokens of a motion padded to `frames`."""

    @abstractmethod
    def latent_lengths(self, lengths: Tensor) -> Tensor | None:
        """(B,) valid latent tokens of each item; None where every token is always valid (no mask needed)."""

    @abstractmethod
    def encode(self, motion: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F) to the posterior's mean and log-variance, each (B, tokens(T), d_z)."""

    @abstractmethod
    def decode(self, latent: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        """(B, tokens, d_z) to (B, frames, F), zero beyond each length; `frames` None is max(lengths), asked
        of the device.
        """


def sample_posterior(mean: Tensor, log_variance: Tensor, noise: Tensor | None = None) -> Tensor:
    """Reparametrised draw: mean + exp(log_variance / 2) noise."""
    noise = torch.randn_like(mean) if noise is None else noise
    return mean + (0.5 * log_variance).exp() * noise
