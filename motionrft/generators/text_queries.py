"""A few learned queries that read the token states of a prompt: short enough for a small denoiser, yet left
stays left.

A pooled vector cannot tell "left" from "right" (cosine 0.99), and all token states make the sequence long;
four queries over the states keep both the speed and the words.
"""

import torch
from torch import nn

from motionrft.linear import Linear
from motionrft.text.base import TextFeatures
from motionrft.transformer import Attention


class TextQueries(nn.Module):
    """Token states (B, L, D_text) to (B, queries, width) by cross-attention, one layer.

    Args:
        text_width: D of the token states.
        width: D of the result.
        queries: tokens of the result.
    """

    def __init__(self, text_width: int, width: int, queries: int = 4, heads: int = 4):
        super().__init__()
        self.enter = Linear(text_width, width)
        self.queries = nn.Parameter(
            nn.init.normal_(torch.empty(queries, width), std=width**-0.5)
        )  # (queries, width)
        self.attention = Attention(width, heads, dropout=0.0)
        self.norm_states = nn.LayerNorm(width)
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Sequential(Linear(width, 2 * width), nn.GELU(), Linear(2 * width, width))

    def forward(self, text: TextFeatures) -> TextFeatures:
        states = self.norm_states(self.enter(text.tokens))
        queries = self.queries.to(states.dtype).expand(len(text), -1, -1)
        read = queries + self.attention(queries, states, text.mask)
        read = read + self.leave(self.norm(read))
        return TextFeatures(read, torch.ones(read.shape[:2], dtype=torch.bool, device=read.device))
