"""StableMoFusion: a U-Net over frames with clean-motion prediction (Huang et al. 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.diffusion.schedule import Schedule, linear
from motionrft.generators.base import Condition
from motionrft.generators.family import FrameFamily
from motionrft.generators.guidance import doubled, guided
from motionrft.generators.sampling_settings import offered
from motionrft.generators.stablemofusion_unet import StableMoFusionUnet
from motionrft.generators.text_layers import TextLayers
from motionrft.text.base import TextFeatures


@dataclass(frozen=True)
class StableMoFusionConfig:
    """What builds a StableMoFusion again; JSON values only.

    denoiser, text_layers: arguments of `StableMoFusionUnet` and `TextLayers`.
    """

    denoiser: dict[str, Any] = field(default_factory=dict)
    text_layers: dict[str, Any] = field(default_factory=dict)
    representation: str = "kinematic"
    fps: float = 20.0
    text: str = "clip-b32-states"
    guidance: float = 2.5
    steps: int = 10
    min_frames: int = 16
    max_frames: int = 196


class StableMoFusion(FrameFamily[StableMoFusionConfig]):
    """A diffusion generator on normalised frames (B, T, F). The null condition is no attention to text at all."""

    family, settings = "stablemofusion", StableMoFusionConfig
    parametrisation = "x0"
    schedule: Schedule
    sees_padding = True

    def __init__(self, config: StableMoFusionConfig):
        super().__init__(config)
        self.representation = config.representation
        denoiser = StableMoFusionUnet(**config.denoiser)
        self.features, self.denoiser = denoiser.features, denoiser
        self.text_layers = TextLayers(**config.text_layers)
        self.schedule = linear()
        usual = offered("diffusion", "dpm-sde", config.steps, self.schedule.times)
        self.samplers = {name: steps if name == "ddpm" else config.steps for name, steps in usual.items()}
        self.sampler_options = {"ddim": {"offset": 0, "land_on_clean": True}}
        self.register_statistics(self.features)

    @property
    def trained(self) -> nn.Module:
        return nn.ModuleDict({"denoiser": self.denoiser, "text_layers": self.text_layers})

    @property
    def lora_targets(self) -> list[str]:
        return ["query", "key", "value", "block"]

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Condition:
        return self.encode_for_training(texts)

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        """A dropped prompt (`dropped` (B,)) has no position left to attend to: its mask (B, L) is False throughout."""
        text = self.text_layers(self.text_encoder.encode(texts).to(self.device, self.mean.dtype))
        # Nothing is read of the null features: their presence says that guidance is possible.
        null = TextFeatures(text.tokens[:1] * 0, text.mask[:1])
        if dropped is None:
            return Condition(text, null)
        return Condition(TextFeatures(text.tokens, text.mask & ~dropped.to(self.device)[:, None]), null)

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        if guidance == 1:
            return self.denoiser(x, t, condition.text.tokens, condition.text.mask.any(dim=1))
        return guided(self.denoiser(doubled(x), doubled(t), condition.text.tokens), guidance)
