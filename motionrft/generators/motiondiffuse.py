"""MotionDiffuse: noise prediction on frames, no guidance (Zhang et al. 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.diffusion.schedule import Schedule, linear
from motionrft.errors import UserError
from motionrft.generators.base import Condition
from motionrft.generators.family import FrameFamily
from motionrft.generators.motiondiffuse_denoiser import MotionDiffuseDenoiser
from motionrft.generators.sampling_settings import offered
from motionrft.generators.text_layers import TextLayers
from motionrft.lengths import length_mask


@dataclass(frozen=True)
class MotionDiffuseConfig:
    """What builds a MotionDiffuse again; JSON values only.

    denoiser, text_layers: arguments of `MotionDiffuseDenoiser` and `TextLayers`.
    sampler, steps: `ddpm` over all 1000 times as published, or `ddim` over some, which fine-tuning can afford.
    """

    denoiser: dict[str, Any] = field(default_factory=dict)
    text_layers: dict[str, Any] = field(default_factory=lambda: {"pooled_width": 2048})
    representation: str = "kinematic"
    fps: float = 20.0
    text: str = "clip-b32-states"
    sampler: str = "ddpm"
    steps: int | None = None
    min_frames: int = 16
    max_frames: int = 196

    @property
    def guidance(self) -> float:
        """There is no null prompt to guide away from."""
        return 1.0


class MotionDiffuse(FrameFamily[MotionDiffuseConfig]):
    """A diffusion generator on normalised frames (B, T, F); it was trained without a null condition."""

    family, settings = "motiondiffuse", MotionDiffuseConfig
    parametrisation = "eps"
    schedule: Schedule

    def __init__(self, config: MotionDiffuseConfig):
        super().__init__(config)
        self.representation = config.representation
        denoiser = MotionDiffuseDenoiser(**config.denoiser)
        self.features, self.sees_padding = denoiser.features, denoiser.quadratic
        self.denoiser = denoiser
        self.text_layers = TextLayers(**config.text_layers)
        self.schedule = linear()
        self.samplers = offered("diffusion", config.sampler, config.steps, self.schedule.times)
        self.sampler_options = {"ddim": {"offset": 0, "land_on_clean": True}}
        self.register_statistics(self.features)

    @property
    def trained(self) -> nn.Module:
        return nn.ModuleDict({"denoiser": self.denoiser, "text_layers": self.text_layers})

    @property
    def lora_targets(self) -> list[str]:
        return ["query", "key", "value", "linear1", "linear2"]

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Condition:
        return self.encode_for_training(texts)

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        if dropped is not None:
            raise UserError("MotionDiffuse has no null prompt: train it with denoiser.text_drop 0")
        return Condition(self.text_layers(self.text_encoder.encode(texts).to(self.device, self.mean.dtype)))

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        if guidance != 1:
            raise UserError(f"MotionDiffuse has no null prompt: guidance must be 1, not {guidance:g}")
        text = condition.text
        assert text.pooled is not None
        return self.denoiser(x, t, text.tokens, text.pooled, length_mask(lengths, x.shape[1]))
