"""MotionDiffuse: noise prediction on frames, no guidance (Zhang et al. 2022)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.diffusion.ancestral import ancestral
from motionrft.diffusion.ddim import ddim
from motionrft.diffusion.process import Process
from motionrft.diffusion.schedule import Schedule, linear
from motionrft.errors import UserError
from motionrft.generators.base import Condition, Generator
from motionrft.generators.frames import from_motion, to_motion
from motionrft.generators.motiondiffuse_denoiser import MotionDiffuseDenoiser
from motionrft.generators.text_layers import TextLayers
from motionrft.lengths import length_mask

DDIM_STEPS = 50


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


class MotionDiffuse(Generator):
    """A diffusion generator on normalised frames (B, T, F); it was trained without a null condition."""

    family = "motiondiffuse"
    parametrisation = "eps"
    guidance = 1.0
    schedule: Schedule

    def __init__(self, config: MotionDiffuseConfig):
        super().__init__()
        self.config = config
        self.representation, self.fps = config.representation, config.fps
        self.min_frames, self.max_frames = config.min_frames, config.max_frames
        self.text_encoder_name = config.text
        denoiser = MotionDiffuseDenoiser(**config.denoiser)
        self.features, self.sees_padding = denoiser.features, denoiser.quadratic
        self.denoiser = denoiser
        self.text_layers = TextLayers(**config.text_layers)
        self.schedule = linear()
        self.register_buffer("mean", torch.zeros(self.features))
        self.register_buffer("std", torch.ones(self.features))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MotionDiffuse":
        return cls(MotionDiffuseConfig(**config))

    def to_config(self) -> dict[str, Any]:
        return asdict(self.config)

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

    def noise_shape(self, lengths: Tensor) -> tuple[int, ...]:
        return (lengths.shape[0], int(lengths.max()), self.features)

    def state_mask(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        return length_mask(lengths, x.shape[1])[..., None]

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        if guidance != 1:
            raise UserError(f"MotionDiffuse has no null prompt: guidance must be 1, not {guidance:g}")
        text = condition.text
        assert text.pooled is not None
        return self.denoiser(x, t, text.tokens, text.pooled, length_mask(lengths, x.shape[1]))

    def process(
        self, steps: int | None = None, sampler: str | None = None, eta: float | None = None
    ) -> Process:
        sampler, steps = sampler or self.config.sampler, steps or self.config.steps
        if sampler == "ddpm":
            process: Process = ancestral(self.schedule, self.parametrisation, steps)
        elif sampler == "ddim":
            steps = DDIM_STEPS if steps is None else steps
            process = ddim(
                self.schedule, self.parametrisation, steps, eta or 0.0, offset=0, land_on_clean=True
            )
        else:
            raise UserError(f"no sampler {sampler!r} for the family motiondiffuse; there are ddpm and ddim")
        return process.to(self.device)

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        return to_motion(x, self.mean, self.std, lengths, frames)

    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        return from_motion(motion, self.mean, self.std, lengths)
