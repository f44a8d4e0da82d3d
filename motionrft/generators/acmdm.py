"""ACMDM: a flow on latents of absolute joint positions (Meng et al. 2025)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.diffusion.schedule import StraightPath
from motionrft.generators.acmdm_autoencoder import AcmdmAutoencoder
from motionrft.generators.acmdm_network import AcmdmNetwork
from motionrft.generators.base import Condition
from motionrft.generators.family import Family
from motionrft.generators.frames import read_texts
from motionrft.generators.guidance import doubled, guided, without_states
from motionrft.generators.sampling_settings import offered
from motionrft.lengths import length_mask, zero_padding
from motionrft.representations.names import JOINTS
from motionrft.text.base import TextFeatures


@dataclass(frozen=True)
class AcmdmConfig:
    """What builds an ACMDM again; JSON values only.

    autoencoder, denoiser: arguments of `AcmdmAutoencoder` and `AcmdmNetwork`.
    sampler, steps: fixed-step `euler` or `heun`; the published adaptive `dopri5` is known to sampling alone.
    """

    autoencoder: dict[str, Any] = field(default_factory=dict)
    denoiser: dict[str, Any] = field(default_factory=dict)
    fps: float = 20.0
    text: str = "clip-b32"
    guidance: float = 3.0
    sampler: str = "euler"
    steps: int = 50
    min_frames: int = 16
    max_frames: int = 196


class Acmdm(Family[AcmdmConfig]):
    """A flow on whitened latents (B, C, ceil(T / 4), 22). The null condition is a text vector of zeros.

    mean, std: (3,), one value a coordinate; latent_mean, latent_std: (C,), one a channel.
    """

    family, settings = "acmdm", AcmdmConfig
    parametrisation = "flow"
    representation = JOINTS
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AcmdmConfig):
        super().__init__(config)
        self.ae = AcmdmAutoencoder(**config.autoencoder)
        denoiser = AcmdmNetwork(**config.denoiser)
        self.joints, self.denoiser = denoiser.joints, denoiser
        self.schedule = StraightPath()
        self.samplers = offered("flow", config.sampler, config.steps)
        self.register_statistics(3)
        self.register_statistics(self.ae.channels, "latent_")

    @property
    def lora_targets(self) -> list[str]:
        return ["qkv", "proj", "w12", "w3"]

    def encode_text(self, texts: Sequence[str]) -> Condition:
        text = read_texts(self.text_encoder, texts, "pooled", self.device)
        return Condition(text, TextFeatures(text.tokens[:1] * 0, text.mask[:1]))

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        return without_states(self.encode_text(texts), dropped)

    def noise_shape(self, lengths: Tensor) -> tuple[int, ...]:
        return (lengths.shape[0], self.ae.channels, self._latent_frames(int(lengths.max())), self.joints)

    def _latent_frames(self, frames: int) -> int:
        return -(-frames // self.ae.stride)

    def _latent_mask(self, lengths: Tensor, frames: int) -> Tensor:
        return length_mask((lengths + self.ae.stride - 1) // self.ae.stride, frames)  # (B, F)

    def state_mask(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        return self._latent_mask(lengths, x.shape[2])[:, None, :, None]  # (B, 1, F, 1)

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        mask, text = self._latent_mask(lengths, x.shape[2]), condition.text.tokens[:, 0]
        if guidance == 1:
            return self.denoiser(x, t, text, mask)
        both = torch.cat([text, torch.zeros_like(text)])  # (2 B, w)
        return guided(self.denoiser(doubled(x), doubled(t), both, doubled(mask)), guidance)

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        frames = int(lengths.max()) if frames is None else frames
        latent = x * _per_channel(self.latent_std) + _per_channel(self.latent_mean)  # (B, c, F, J)
        joints = self.ae.decode(latent)[:, :frames] * self.std + self.mean  # (B, <= T, J, 3)
        joints = F.pad(joints, (0, 0, 0, 0, 0, frames - joints.shape[1]))  # (B, T, J, 3)
        return zero_padding(joints.flatten(2), lengths)

    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        joints = (motion.unflatten(-1, (self.joints, 3)) - self.mean) / self.std  # (B, T, J, 3)
        latent = (self.ae.encode(joints) - _per_channel(self.latent_mean)) / _per_channel(self.latent_std)
        return latent * self._latent_mask(lengths, latent.shape[2])[:, None, :, None].to(latent.dtype)


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None]  # (c, 1, 1)
