"""The denoiser of MLD, MLD++ and MotionLCM: a skip transformer over a few latent, time and text tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators.text_paths import text_path as make_text_path
from motionrft.linear import Linear
from motionrft.text.base import TextFeatures
from motionrft.transformer import LearnedPositions, SkipEncoder, TimeEmbedding, timestep_features


class GuidedTimeEmbedding(TimeEmbedding):
    """A time embedding that is also told the guidance scale, through `cond_proj`; it starts by ignoring it."""

    def __init__(self, features: int, width: int, guidance_width: int):
        super().__init__(features, width)
        self.cond_proj = Linear(guidance_width, features, bias=False)
        nn.init.zeros_(self.cond_proj.weight)

    def forward(self, features: Tensor, guidance: Tensor | None = None) -> Tensor:
        """features (B or 1, features), guidance (1, guidance_width), to (B or 1, width)."""
        return super().forward(features if guidance is None else features + self.cond_proj(guidance))


class MldDenoiser(nn.Module):
    """Predicts, for a noisy latent (B, n, d_z), a timestep and text features.

    Args:
        latent_width: d_z.
        hidden: D of the transformer. Where it equals d_z and `project` is false there are no projections
            (v1).
        project: linear layers between d_z and D (v2).
        text_width: of the text features; `time_width`, None for the same, of the time sinusoid.
        text_path: how text features become tokens, a key of `TEXT_PATHS`; `relu` in v1, `linear` in v2.
        guidance_width: of the guidance embedding (MotionLCM), or None for a model guided by two passes.
        positions: rows of the position table.
        context_first: rows of the position table go to the time and text tokens first, to the latent tokens
            after. Needed where the number of latent tokens depends on the motion's length, or an item's
            result would depend on how far the batch is padded.
    """

    def __init__(
        self,
        latent_width: int = 256,
        hidden: int = 256,
        project: bool = False,
        layers: int = 9,
        heads: int = 4,
        feedforward: int = 1024,
        text_width: int = 768,
        time_width: int | None = None,
        text_path: str = "relu",
        guidance_width: int | None = None,
        dropout: float = 0.1,
        positions: int = 500,
        context_first: bool = False,
    ):
        super().__init__()
        if not project and latent_width != hidden:
            raise ValueError(
                f"a latent {latent_width} wide in a transformer {hidden} wide needs project=True"
            )
        self.time_width = time_width or text_width
        self.guidance_width = guidance_width
        self.context_first = context_first
        self.latent_pre = Linear(latent_width, hidden) if project else nn.Identity()
        self.latent_post = Linear(hidden, latent_width) if project else nn.Identity()
        if guidance_width is None:
            self.time_embedding = TimeEmbedding(self.time_width, hidden)
        else:
            self.time_embedding = GuidedTimeEmbedding(self.time_width, hidden, guidance_width)
        self.emb_proj = make_text_path(text_path, text_width, hidden)
        self.query_pos = LearnedPositions(hidden, positions)
        self.encoder = SkipEncoder(hidden, layers, heads, feedforward, dropout)

    def forward(
        self,
        latent: Tensor,
        t: Tensor,
        text: TextFeatures,
        latent_mask: Tensor | None = None,
        guidance: float | Tensor | None = None,
    ) -> Tensor:
        """Prediction like `latent`.

        Args:
            latent: (B, n, d_z); latent_mask: (B, n), True at valid tokens, None where all are.
            t: () or (B,) training timesteps.
            text: token states (B, L, text_width).
            guidance: scale s, or (B,) one an item, for a model with a guidance embedding.
        """
        batch, tokens, _ = latent.shape
        time = self._time_token(t, guidance).expand(batch, -1, -1)
        context = torch.cat([time, self.emb_proj(text).tokens], dim=1)
        sequence = self._add_positions(self.latent_pre(latent), context)
        mask = None
        if latent_mask is not None:
            mask = F.pad(latent_mask, (0, context.shape[1]), value=True)
        return self.latent_post(self.encoder(sequence, mask, rows=tokens))

    def _time_token(self, t: Tensor, guidance: float | Tensor | None) -> Tensor:
        """(B or 1, 1, D)."""
        features = timestep_features(t, self.time_width).to(self.query_pos.pe.dtype)  # (B or 1, time_width)
        if self.guidance_width is None:
            return self.time_embedding(features)[:, None]  # (B or 1, 1, D)
        if isinstance(guidance, Tensor):
            embedding = guidance_embedding(guidance, self.guidance_width)  # (B, guidance_width)
        else:
            scale = torch.full((1,), 1.0 if guidance is None else guidance, device=t.device)  # (1,)
            embedding = guidance_embedding(scale, self.guidance_width)  # (1, guidance_width)
        return self.time_embedding(features, embedding.to(features.dtype))[:, None]  # (B or 1, 1, D)

    def _add_positions(self, latent: Tensor, context: Tensor) -> Tensor:
        """[latent, context] with positions, (B, n + C, D)."""
        sequence = torch.cat([latent, context], dim=1)  # (B, n + C, D)
        if not self.context_first:
            return self.query_pos(sequence)  # (B, n + C, D)
        first, rows = context.shape[1], sequence.shape[1]
        table = self.query_pos.pe[:rows, 0]  # (n + C, D)
        return sequence + torch.cat([table[first:], table[:first]])


def guidance_embedding(scale: Tensor, width: int) -> Tensor:
    """(B,) scales to (B, width) sinusoids of 1000 (s - 1), sine half first (MotionLCM).

    Unlike the time sinusoid in order and in divisor. The arguments reach 12,500, so the rounding of the
    frequencies
    shows: they are computed in float32 throughout, as published.
    """
    half = width // 2
    step = torch.full((), 10000.0, device=scale.device).log() / (half - 1)
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=scale.device) * -step)  # (half,)
    angles = (scale.float() - 1)[:, None] * 1000.0 * frequencies  # (B, half)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)  # (B, width)
