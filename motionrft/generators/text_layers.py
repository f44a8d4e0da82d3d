"""Trained text layers on top of frozen CLIP states, as MotionDiffuse and StableMoFusion have them."""

import torch
from torch import nn

from motionrft.linear import Linear
from motionrft.text.base import TextFeatures
from motionrft.transformer import Encoder


class TextLayers(nn.Module):
    """CLIP states (B, L, clip_width) to (B, L, width) and, where asked for, one vector a text.

    No mask: the published models attend to all 77 positions, padding included.

    Args:
        pooled_width: of the vector made from the state at the end-of-text token, or None for no vector.
    """

    def __init__(
        self,
        clip_width: int = 512,
        width: int = 256,
        layers: int = 4,
        heads: int = 4,
        feedforward: int = 2048,
        pooled_width: int | None = None,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.embed = Linear(clip_width, width)
        self.stack = Encoder(width, layers, heads, feedforward, dropout)
        self.norm = nn.LayerNorm(width)
        self.pooled = None if pooled_width is None else Linear(width, pooled_width)

    def forward(self, clip: TextFeatures) -> TextFeatures:
        """The end-of-text position is where the CLIP state is the pooled one."""
        states = self.norm(self.stack(self.embed(clip.tokens)))  # (B, L, width)
        if self.pooled is None or clip.pooled is None:
            return TextFeatures(states, clip.mask)
        end = (clip.tokens - clip.pooled[:, None]).square().sum(-1).argmin(dim=1)  # (B,)
        chosen = states[torch.arange(len(end), device=end.device), end]  # (B, width)
        return TextFeatures(states, clip.mask, self.pooled(chosen))  # (B, L, width), (B, pooled_width)
