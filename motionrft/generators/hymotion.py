"""HY-Motion 1.0, lite and full: a flow on 201 features at 30 frames a second (Tencent Hunyuan 2025)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.schedule import StraightPath
from motionrft.generators.base import Condition
from motionrft.generators.family import FrameFamily
from motionrft.generators.frames import from_motion, to_motion
from motionrft.generators.guidance import doubled, guided
from motionrft.generators.hymotion_network import HyMotionNetwork
from motionrft.generators.sampling_settings import offered
from motionrft.lengths import length_mask
from motionrft.representations.convert import convert
from motionrft.representations.names import HYMOTION, ROTATION
from motionrft.text.base import TextFeatures

SMALLEST_STD = 1e-3
"""A smaller std counts as 0 when undoing the normalisation: such a feature is constant."""
ROTATION_WIDTH = 135


@dataclass(frozen=True)
class HyMotionConfig:
    """What builds an HY-Motion again; JSON values only.

    denoiser: arguments of `HyMotionNetwork`.
    null_tokens: the null condition has a learned token feature; otherwise it keeps the prompt's tokens.
    representation: `rotation` (the first 135 features) or `hymotion` (all 201).
    """

    denoiser: dict[str, Any] = field(default_factory=dict)
    null_tokens: bool = True
    representation: str = ROTATION
    fps: float = 30.0
    text: str = "hymotion"
    guidance: float = 5.0
    steps: int = 50
    sampler: str = "euler"
    min_frames: int = 20
    max_frames: int = 360


class HyMotion(FrameFamily[HyMotionConfig]):
    """A flow on normalised frames (B, T, 201). Padded frames are not computed: see `HyMotionNetwork`."""

    family, settings = "hymotion", HyMotionConfig
    parametrisation = "flow"
    denoiser: HyMotionNetwork
    null_vtxt_feat: Tensor
    null_ctxt_input: Tensor

    def __init__(self, config: HyMotionConfig):
        super().__init__(config)
        self.representation = config.representation
        denoiser = HyMotionNetwork(**config.denoiser)
        self.features, self.denoiser = denoiser.features, denoiser
        self.schedule = StraightPath()
        self.samplers = offered("flow", config.sampler, config.steps)
        self.register_statistics(self.features)
        sentence, tokens = denoiser.vtxt_encoder.inputs, denoiser.ctxt_encoder.in_features
        self.register_buffer("null_vtxt_feat", torch.zeros(1, 1, sentence))
        self.register_buffer("null_ctxt_input", torch.zeros(1, 1, tokens))

    @property
    def trained_on(self) -> str:
        return HYMOTION

    @property
    def lora_targets(self) -> list[str]:
        # The single blocks' linears too, which a filter by qkv, proj, fc1 and fc2 would leave out.
        return [
            *("motion_qkv", "text_qkv", "motion_out_proj", "text_out_proj", "fc1", "fc2"),
            *("self_attn_qkv", "self_attn_proj", "linear1", "linear2"),
        ]

    def encode_text(self, texts: Sequence[str]) -> Condition:
        text = self.text_encoder.encode(texts).to(self.device)
        one = torch.ones(1, 1, dtype=torch.bool, device=self.device)
        return Condition(text, TextFeatures(self.null_ctxt_input, one, self.null_vtxt_feat[:, 0]))

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        """Null features (1, L, w) are kept as they are: from scratch zeros, which the layers that read them offset."""
        condition = self.encode_text(texts)
        if dropped is None:
            return condition
        both = self._both(condition)
        items = torch.arange(len(texts)) + len(texts) * dropped  # (B,), of 2 B: prompts, then nulls
        return Condition(both.index(items.to(self.device)), condition.null)

    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        mask = length_mask(lengths, x.shape[1])  # (B, T)
        if guidance == 1:
            return self.denoiser(x, t, condition.text, mask)
        return guided(self.denoiser(doubled(x), doubled(t), self._both(condition), doubled(mask)), guidance)

    def _both(self, condition: Condition) -> TextFeatures:
        """Prompts, then the null: its token feature repeated under the prompts' own masks."""
        text, null = condition.text, condition.null
        assert text.pooled is not None and null is not None and null.pooled is not None
        tokens = null.tokens.expand_as(text.tokens) if self.config.null_tokens else text.tokens
        pooled = torch.cat([text.pooled, null.pooled.expand_as(text.pooled)])
        return TextFeatures(torch.cat([text.tokens, tokens]), doubled(text.mask), pooled)

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        std = torch.where(self.std < SMALLEST_STD, torch.zeros_like(self.std), self.std)
        motion = to_motion(x, self.mean, std, lengths, frames)  # (B, T, 201)
        return motion[..., :ROTATION_WIDTH] if self.representation == ROTATION else motion

    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        whole = convert(motion, ROTATION, HYMOTION) if motion.shape[-1] == ROTATION_WIDTH else motion
        constant = self.std < SMALLEST_STD  # (201,)
        std = torch.where(constant, torch.ones_like(self.std), self.std)
        return from_motion(whole, self.mean, std, lengths).masked_fill(constant, 0.0)
