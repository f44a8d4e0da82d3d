"""MLD, MLD++ and MotionLCM: diffusion in the latent space of an autoencoder (Chen et al. 2023; Dai et al.
2024).

One module for all of them: the autoencoder, the text path, the sizes and the sampler are configuration. So is
the built-in generator, which puts a convolutional autoencoder into the same place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from motionrft.diffusion.lcm import Times
from motionrft.diffusion.schedule import Schedule, scaled_linear
from motionrft.generators.autoencoder import Autoencoder
from motionrft.generators.base import Condition
from motionrft.generators.convolutional import ConvolutionalAutoencoder
from motionrft.generators.family import Family
from motionrft.generators.frames import TextPart, from_motion, read_texts, to_motion
from motionrft.generators.guidance import both_halves, doubled, guided
from motionrft.generators.mld_denoiser import MldDenoiser
from motionrft.generators.mld_vae import MldVae
from motionrft.generators.sampling_settings import offered
from motionrft.lengths import length_mask
from motionrft.text.base import TextFeatures

AUTOENCODERS: dict[str, type[Autoencoder]] = {
    "transformer": MldVae,
    "convolutional": ConvolutionalAutoencoder,
}


@dataclass(frozen=True)
class MldConfig:
    """What builds an MLD-family generator again; JSON values only.

    autoencoder, denoiser: arguments of the two constructors, the autoencoder's with its `kind`.
    text: the text encoder's name; text_features: whether its `pooled` vector or its `tokens` reach the
    denoiser.
    sampler: `ddim`, or `lcm` for a consistency-distilled model; lcm_times: see `motionrft.diffusion.lcm.lcm`.
    """

    autoencoder: dict[str, Any] = field(default_factory=lambda: {"kind": "transformer"})
    denoiser: dict[str, Any] = field(default_factory=dict)
    representation: str = "kinematic"
    fps: float = 20.0
    text: str = "sentence-t5-large"
    text_features: TextPart = "pooled"
    guidance: float = 7.5
    sampler: Literal["ddim", "lcm"] = "ddim"
    lcm_times: Times = "fixed"
    steps: int = 50
    min_frames: int = 16
    max_frames: int = 200


class Mld(Family[MldConfig]):
    """A latent diffusion generator: autoencoder `vae`, `denoiser`, statistics of features and latents, text
    encoder.

    A state is a latent, whitened by `latent_mean` and `latent_std` (1 and 0 in the published models). Where
    the autoencoder's latent grows with the motion, padded latent tokens are masked in the denoiser.
    """

    family, settings = "mld", MldConfig
    parametrisation = "eps"
    schedule: Schedule
    denoiser: MldDenoiser
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: MldConfig):
        super().__init__(config)
        self.representation = config.representation
        arguments = dict(config.autoencoder)
        self.vae = AUTOENCODERS[arguments.pop("kind")](**arguments)
        self.denoiser = MldDenoiser(**config.denoiser)
        self.schedule = scaled_linear()
        self.samplers = offered("consistency", config.sampler, config.steps, self.schedule.times)
        self.sampler_options = {"lcm": {"times": config.lcm_times}}
        self.register_statistics(self.vae.features)
        self.register_statistics(self.vae.width, "latent_")

    @property
    def distilled(self) -> bool:
        """Whether guidance is an input of the network (MotionLCM) instead of a second pass."""
        return self.denoiser.guidance_width is not None

    @property
    def lora_targets(self) -> list[str]:
        return ["linear1", "linear2", "out_proj"]

    @property
    def lora_parameters(self) -> list[str]:
        return ["in_proj_weight"]

    def encode_text(self, texts: Sequence[str]) -> Condition:
        return Condition(self._features(texts), None if self.distilled else self._features([""]))

    def _features(self, texts: Sequence[str]) -> TextFeatures:
        return read_texts(self.text_encoder, texts, self.config.text_features, self.device)

    def noise_shape(self, lengths: Tensor) -> tuple[int, ...]:
        return (lengths.shape[0], self.vae.tokens(int(lengths.max())), self.vae.width)  # (B, tokens, width)

    def state_mask(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        tokens = self.vae.latent_lengths(lengths)
        return None if tokens is None else length_mask(tokens, x.shape[1])[..., None]  # (B, tokens, 1)

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        tokens = self.vae.latent_lengths(lengths)
        mask = None if tokens is None else length_mask(tokens, x.shape[1])
        if guidance == 1 or self.distilled:
            return self.denoiser(x, t, condition.text, mask, guidance)
        mask = None if mask is None else doubled(mask)
        return guided(self.denoiser(doubled(x), doubled(t), both_halves(condition), mask), guidance)

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        frames = int(lengths.max()) if frames is None else frames
        normalised = self.vae.decode(x * self.latent_std + self.latent_mean, lengths, frames)  # (B, T, F)
        return to_motion(normalised, self.mean, self.std, lengths, frames)

    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        latent, _ = self.vae.encode(from_motion(motion, self.mean, self.std, lengths), lengths)
        return (latent - self.latent_mean) / self.latent_std
