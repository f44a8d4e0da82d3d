"""MDM: diffusion on frames with clean-motion prediction (Tevet et al. 2023), in all its released variants."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.schedule import Schedule, cosine
from motionrft.generators.base import Condition
from motionrft.generators.family import FrameFamily
from motionrft.generators.frames import TextPart, read_texts
from motionrft.generators.guidance import doubled, guided, without_states
from motionrft.generators.mdm_denoiser import MdmDenoiser
from motionrft.generators.sampling_settings import offered
from motionrft.lengths import length_mask
from motionrft.text.base import TextFeatures


@dataclass(frozen=True)
class MdmConfig:
    """What builds an MDM again; JSON values only.

    denoiser: arguments of `MdmDenoiser`.
    train_times: S of the cosine schedule; 50 is a schedule of its own, not a respacing of 1000.
    small_variance: the posterior's variance in ancestral sampling, otherwise beta_t.
    """

    denoiser: dict[str, Any] = field(default_factory=dict)
    representation: str = "kinematic"
    fps: float = 20.0
    text: str = "clip-b32-short"
    text_features: TextPart = "pooled"
    train_times: int = 50
    small_variance: bool = True
    guidance: float = 2.5
    min_frames: int = 16
    max_frames: int = 196


class Mdm(FrameFamily[MdmConfig]):
    """A diffusion generator on normalised frames (B, T, F). The null condition is text features of zeros."""

    family, settings = "mdm", MdmConfig
    parametrisation = "x0"
    schedule: Schedule
    denoiser: MdmDenoiser

    def __init__(self, config: MdmConfig):
        super().__init__(config)
        self.representation = config.representation
        self.denoiser = MdmDenoiser(**config.denoiser)
        self.sees_padding = not self.denoiser.mask_frames
        self.schedule = cosine(config.train_times)
        self.samplers = offered("diffusion", "ddpm", times=config.train_times)
        self.sampler_options = {
            "ddpm": {"small_variance": config.small_variance},
            "ddim": {"offset": 0, "land_on_clean": True},
        }
        self.features = self.denoiser.features
        self.register_statistics(self.features)

    @property
    def lora_targets(self) -> list[str]:
        return ["linear1", "linear2", "out_proj"]

    @property
    def lora_parameters(self) -> list[str]:
        return ["in_proj_weight"]

    def encode_text(self, texts: Sequence[str]) -> Condition:
        text = read_texts(self.text_encoder, texts, self.config.text_features, self.device)
        return Condition(text, _zeroed(text.index(torch.zeros(1, dtype=torch.int64, device=self.device))))

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        return without_states(self.encode_text(texts), dropped)

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        mask = length_mask(lengths, x.shape[1])
        text = condition.text
        if guidance == 1:
            return self.denoiser(x, t, text, mask)
        # The null half keeps the prompts' token mask: only the states are zero.
        both = TextFeatures(doubled_with_zeros(text.tokens), doubled(text.mask))  # tokens (2 B, L, w)
        return guided(self.denoiser(doubled(x), doubled(t), both, doubled(mask)), guidance)


def doubled_with_zeros(states: Tensor) -> Tensor:
    """(B, ...) to (2B, ...): the states, then zeros in their place."""
    return torch.cat([states, torch.zeros_like(states)])


def _zeroed(text: TextFeatures) -> TextFeatures:
    return TextFeatures(torch.zeros_like(text.tokens), text.mask)
