"""The transformer VAE of MLD and MLD++: any number of frames to a fixed number of latent tokens (Chen et al.
2023).
"""

import torch
from torch import Tensor, nn

from motionrft.fused import needed
from motionrft.generators.autoencoder import Autoencoder
from motionrft.lengths import length_mask, zero_padding
from motionrft.linear import Linear
from motionrft.transformer import LearnedPositions, SkipDecoder, SkipEncoder


class MldVae(Autoencoder):
    """(B, T, F) to (B, tokens, d_z) and back; the latent knows nothing of the length.

    Args:
        features: F.
        tokens: latent tokens n_z; 1 in MLD, 16 in MLD++.
        hidden: D of the transformers.
        width: d_z, or None for the layout without projections, where d_z = D (v1).
        layers, heads, feedforward: of each of the two stacks.
        positions: rows of the two position tables: the longest sequence, latent tokens included.
    """

    ENCODES = ("skel_embedding", "global_motion_token", "query_pos_encoder", "encoder", "latent_pre")

    def __init__(
        self,
        features: int = 263,
        tokens: int = 1,
        hidden: int = 256,
        width: int | None = None,
        layers: int = 9,
        heads: int = 4,
        feedforward: int = 1024,
        dropout: float = 0.1,
        positions: int = 500,
    ):
        super().__init__()
        self.features, self.latent_tokens, self.hidden = features, tokens, hidden
        self.width = hidden if width is None else width
        self.skel_embedding = Linear(features, hidden)
        self.global_motion_token = nn.Parameter(torch.randn(2 * tokens, hidden))
        self.query_pos_encoder = LearnedPositions(hidden, positions)
        self.query_pos_decoder = LearnedPositions(hidden, positions)
        self.encoder = SkipEncoder(hidden, layers, heads, feedforward, dropout)
        self.decoder = SkipDecoder(hidden, layers, heads, feedforward, dropout)
        self.final_layer = Linear(hidden, features)
        self.latent_pre = nn.Identity() if width is None else Linear(hidden, width)
        self.latent_post = nn.Identity() if width is None else Linear(width, hidden)

    def tokens(self, frames: int) -> int:
        return self.latent_tokens

    def latent_lengths(self, lengths: Tensor) -> Tensor | None:
        return None

    def encode(self, motion: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        batch, frames, _ = motion.shape
        queries = 2 * self.latent_tokens
        tokens = self.global_motion_token.expand(batch, -1, -1)  # (B, 2 tokens, D)
        sequence = self.query_pos_encoder(torch.cat([tokens, self.skel_embedding(motion)], dim=1))
        seen = torch.cat([length_mask(queries + 0 * lengths, queries), length_mask(lengths, frames)], dim=1)
        posterior = self.latent_pre(self.encoder(sequence, seen, rows=queries))  # (B, 2 tokens, d_z)
        mean, log_variance = posterior.chunk(2, dim=1)  # (B, tokens, d_z) each
        return mean, log_variance

    def decode(self, latent: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        frames = int(lengths.max()) if frames is None else frames
        seen = needed(length_mask(lengths, frames))  # (B, T)
        # Where nothing is padded, every item starts from the same rows: the first layer attends among them once.
        blank = latent.new_zeros(1 if seen is None else len(latent), frames, self.hidden)  # (B or 1, T, D)
        hidden = self.decoder(self.query_pos_decoder(blank), self.latent_post(latent), seen)  # (B, T, D)
        return zero_padding(self.final_layer(hidden), lengths)  # (B, T, F)
