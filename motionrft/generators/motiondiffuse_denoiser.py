"""The denoiser of MotionDiffuse: linear attention over frames, each part modulated by time and text."""

import torch
from torch import Tensor, nn

from motionrft.generators.linear_attention import FrameAttention
from motionrft.linear import Linear, gelu_of
from motionrft.transformer import timestep_features


class Stylisation(nn.Module):
    """Linear(silu(LN(y) (1 + scale) + shift)); scale and shift come from the embedding of time and text."""

    def __init__(self, width: int, embedding_width: int, dropout: float):
        super().__init__()
        self.emb_layers = nn.Sequential(nn.SiLU(), Linear(embedding_width, 2 * width))
        self.norm = nn.LayerNorm(width)
        self.out_layers = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), Linear(width, width))

    def forward(self, y: Tensor, embedding: Tensor) -> Tensor:
        """y (B, T, D), embedding (B, E)."""
        scale, shift = self.emb_layers(embedding)[:, None].chunk(2, dim=-1)  # (B, 1, D) each
        return self.out_layers(self.norm(y) * (1 + scale) + shift)  # (B, T, D)


class AttentionBlock(FrameAttention):
    """x + stylised attention."""

    def __init__(
        self, width: int, heads: int, embedding: int, memory: int | None, quadratic: bool, dropout: float
    ):
        super().__init__(width, heads, memory, quadratic)
        self.proj_out = Stylisation(width, embedding, dropout)

    def forward(  # type: ignore[override]
        self, x: Tensor, embedding: Tensor, memory: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        return x + self.proj_out(super().forward(x, memory, mask), embedding)  # (B, T, D)


class FeedForward(nn.Module):
    """x + stylised feed-forward; no norm before it."""

    def __init__(self, width: int, hidden: int, embedding: int, dropout: float):
        super().__init__()
        self.linear1 = Linear(width, hidden)
        self.linear2 = Linear(hidden, width)
        self.proj_out = Stylisation(width, embedding, dropout)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x + self.proj_out(self.linear2(gelu_of(self.linear1, x)), embedding)  # (B, T, D)


class Block(nn.Module):
    """Self-attention, attention to the text, feed-forward."""

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        text_width: int,
        embedding: int,
        quadratic: bool,
        dropout: float,
    ):
        super().__init__()
        self.sa_block = AttentionBlock(width, heads, embedding, None, quadratic, dropout)
        self.ca_block = AttentionBlock(width, heads, embedding, text_width, quadratic, dropout)
        self.ffn = FeedForward(width, hidden, embedding, dropout)

    def forward(self, x: Tensor, embedding: Tensor, text: Tensor, mask: Tensor | None) -> Tensor:
        x = self.sa_block(x, embedding, mask=mask)  # (B, T, D)
        return self.ffn(self.ca_block(x, embedding, text), embedding)


class MotionDiffuseDenoiser(nn.Module):
    """Predicts the noise of (B, T, F) frames.

    Args:
        features: F. frames: rows of the learned position table, the longest motion.
        text_width: of the trained text layers' states; their pooled vector is 4 D wide.
        quadratic: ordinary attention (the `no_eff` variant, which sees padded frames).
    """

    def __init__(
        self,
        features: int = 263,
        frames: int = 196,
        width: int = 512,
        layers: int = 8,
        heads: int = 8,
        feedforward: int = 1024,
        text_width: int = 256,
        quadratic: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.features, self.width, self.quadratic = features, width, quadratic
        embedding = 4 * width
        self.sequence_embedding = nn.Parameter(torch.randn(frames, width))  # (frames, D)
        self.joint_embed = Linear(features, width)
        self.time_embed = nn.Sequential(Linear(width, embedding), nn.SiLU(), Linear(embedding, embedding))
        self.temporal_decoder_blocks = nn.ModuleList(
            Block(width, heads, feedforward, text_width, embedding, quadratic, dropout) for _ in range(layers)
        )
        self.out = Linear(width, features)

    def forward(self, x: Tensor, t: Tensor, text: Tensor, pooled: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, F); t () or (B,); text (B, L, text_width); pooled (B, 4 D); mask (B, T), True at valid frames."""
        embedding = self.time_embed(timestep_features(t, self.width).to(x.dtype)) + pooled  # (B, E)
        hidden = self.joint_embed(x) + self.sequence_embedding[: x.shape[1]]  # (B, T, D)
        for block in self.temporal_decoder_blocks:
            hidden = block(hidden, embedding, text, mask)  # (B, T, D)
        return self.out(hidden)  # (B, T, F)
