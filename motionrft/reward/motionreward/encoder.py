"""MotionReward's network: two towers that meet in one Gaussian embedding, and a decoder (MotionRFT).

Inside each tower parameters carry the published names, so a published `state_dict` only has to be dealt out
to the towers (`official/motionreward.py`). Motions here are normalised and zero padded: (B, T, F), or (B,
T, 22, 3) for joints.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.lengths import length_mask, zero_padding
from motionrft.linear import Linear
from motionrft.reward.motionreward.gaussian import Gaussian
from motionrft.reward.motionreward.sizes import OFFICIAL_NAMES, RewardSize
from motionrft.transformer import (
    Attention,
    LearnedPositions,
    SkipDecoder,
    SkipEncoder,
    TimeEmbedding,
    timestep_features,
)


class Projection(nn.Module):
    """Frames of one representation to the tower's width: one linear layer, or several with GELU between."""

    def __init__(self, features: int, hidden: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        if layers == 1:
            self.proj: nn.Module = Linear(features, width)
            return
        parts: list[nn.Module] = []
        for _ in range(layers - 1):
            parts += [Linear(features, hidden), nn.GELU(), nn.Dropout(dropout)]
            features = hidden
        self.proj = nn.Sequential(*parts, Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)  # (B, T, D)


class MotionTower(nn.Module):
    """Motion to Gaussian: [global token, (time token), frames] through a skip encoder; row 0 is read."""

    def __init__(self, size: RewardSize) -> None:
        super().__init__()
        self.size = size
        for representation in size.representations:
            features = size.feature_width(representation) * size.stack
            projection = Projection(
                features, size.projection_hidden, size.width, size.projection_layers, size.dropout
            )
            self.add_module(f"proj_{OFFICIAL_NAMES[representation]}", projection)
        self.global_motion_token = nn.Parameter(torch.randn(1, size.width))  # (1, D)
        self.query_pos_encoder = LearnedPositions(size.width, size.positions)
        self.encoder = SkipEncoder(size.width, size.layers, size.heads, size.feedforward, size.dropout)
        self.dist_layer = _distribution(size.width, size.latent, size.log_variance_init)
        self.time_embedding = TimeEmbedding(size.time_features, size.width)

    def project(self, motion: Tensor, lengths: Tensor, representation: str) -> Tensor:
        """(B, T, F) to (B, ceil(T / stack), D). Frames beyond a length never reach a token that counts."""
        features = self.size.feature_width(representation)
        motion = motion.flatten(2)
        if motion.shape[-1] != features:
            raise UserError(f"a {representation} motion is {features} wide, not {motion.shape[-1]}")
        if self.size.stack > 1:
            motion = _stack_frames(zero_padding(motion, lengths), self.size.stack)
        return self.get_submodule(f"proj_{OFFICIAL_NAMES[representation]}")(motion)

    def forward(
        self, motion: Tensor, lengths: Tensor, representation: str, t: Tensor | int | None = None
    ) -> Gaussian:
        """Embed motions.

        Args:
            motion: (B, T, F) normalised; what lies beyond the lengths does not matter.
            lengths: (B,) valid frames, at least 1.
            t: timestep, int, () or (B,); None leaves the time token out, which is not the same as t = 0.
        """
        tokens = self.project(motion, lengths, representation)  # (B, n, D)
        visible = length_mask(_token_lengths(lengths, self.size.stack), tokens.shape[1])  # (B, n)
        time = None if t is None else self.embed_time(t, len(tokens))  # (B, D)
        sequence, visible = _with_heads(self.global_motion_token, time, tokens, visible)  # (B, h + n, D)
        if sequence.shape[1] > self.size.positions:
            longest = (self.size.positions - (sequence.shape[1] - tokens.shape[1])) * self.size.stack
            raise UserError(f"a motion of {motion.shape[1]} frames; this reward reads at most {longest}")
        state = self.encoder(self.query_pos_encoder(sequence), visible, rows=1)[:, 0]  # (B, D)
        return Gaussian(*self.dist_layer(state).chunk(2, dim=-1))  # (B, L) each

    def embed_time(self, t: Tensor | int, batch: int) -> Tensor:
        """The time token, (B, D)."""
        return _embed_time(self.time_embedding, self.size.time_features, t, batch, self.global_motion_token)


class TextTower(nn.Module):
    """Frozen token states to Gaussian: the same skip encoder, at the embeddings' width."""

    def __init__(self, size: RewardSize) -> None:
        super().__init__()
        self.size = size
        self.text_embedding = Linear(size.text_width, size.latent)
        self.global_text_token = nn.Parameter(torch.randn(1, size.latent))  # (1, L)
        self.query_text_pos_encoder = LearnedPositions(size.latent, size.positions)
        self.text_encoder = SkipEncoder(
            size.latent, size.text_layers, size.text_heads, size.text_feedforward, size.dropout
        )
        self.dist_text_layer = _distribution(size.latent, size.latent, size.log_variance_init)
        self.time_embedding_text = TimeEmbedding(size.time_features, size.latent)

    def forward(self, tokens: Tensor, mask: Tensor, t: Tensor | int | None = None) -> Gaussian:
        """Embed texts: tokens (B, S, text width), mask (B, S) bool, t as in `MotionTower.forward`."""
        time = None if t is None else self.embed_time(t, len(tokens))  # (B, L)
        sequence, visible = _with_heads(self.global_text_token, time, self.text_embedding(tokens), mask)
        state = self.text_encoder(self.query_text_pos_encoder(sequence), visible, rows=1)[:, 0]  # (B, L)
        return Gaussian(*self.dist_text_layer(state).chunk(2, dim=-1))  # (B, L) each

    def embed_time(self, t: Tensor | int, batch: int) -> Tensor:
        """The time token, (B, L)."""
        return _embed_time(
            self.time_embedding_text, self.size.time_features, t, batch, self.global_text_token
        )


class MotionDecoder(nn.Module):
    """One latent to a motion in any representation; depth, heads and feed-forward are the motion tower's."""

    def __init__(self, size: RewardSize) -> None:
        super().__init__()
        self.size = size
        self.query_pos_decoder = LearnedPositions(size.latent, size.positions)
        self.decoder = SkipDecoder(size.latent, size.layers, size.heads, size.feedforward, size.dropout)
        for representation in size.representations:
            features = size.feature_width(representation) * size.stack
            self.add_module(f"final_layer_{OFFICIAL_NAMES[representation]}", Linear(size.latent, features))

    def forward(self, z: Tensor, lengths: Tensor, representation: str, frames: int) -> Tensor:
        """z (B, L) to (B, frames, F), or (B, frames, 22, 3) for joints; exactly zero beyond each length."""
        stack = self.size.stack
        rows = -(-frames // stack)
        queries = self.query_pos_decoder(z.new_zeros(len(z), rows, self.size.latent))  # (B, rows, L)
        visible = length_mask(_token_lengths(lengths, stack), rows)  # (B, rows)
        states = self.decoder(queries, z[:, None], visible)  # (B, rows, L)
        flat = self.get_submodule(f"final_layer_{OFFICIAL_NAMES[representation]}")(states)
        features = self.size.feature_width(representation)
        motion = zero_padding(flat.reshape(len(z), rows * stack, features)[:, :frames], lengths)
        return motion.unflatten(-1, (-1, 3)) if representation == "joints" else motion


class MotionRewardNetwork(nn.Module):
    """Both towers and the decoder. `motion`, `text` and `decoder` are called directly."""

    def __init__(self, size: RewardSize) -> None:
        super().__init__()
        self.size = size
        self.motion = MotionTower(size)
        self.text = TextTower(size)
        self.decoder = MotionDecoder(size)
        for module in self.modules():
            if isinstance(module, Attention):
                module.dropout = size.attention_dropout

    def own_layers(self, representation: str) -> nn.ModuleList:
        """The layers that one representation alone goes through: into the motion tower, and out of the decoder."""
        official = OFFICIAL_NAMES[representation]
        return nn.ModuleList(
            (
                self.motion.get_submodule(f"proj_{official}"),
                self.decoder.get_submodule(f"final_layer_{official}"),
            )
        )

    def encode_motion(
        self, motion: Tensor, lengths: Tensor, representation: str, t: Tensor | int | None = None
    ) -> Gaussian:
        """As `MotionTower`, (B, D), with the timestep dropped where the mode (M0) does not give it to this tower."""
        return self.motion(motion, lengths, representation, t if self.size.mode[1] == "1" else None)

    def encode_text(self, tokens: Tensor, mask: Tensor, t: Tensor | int | None = None) -> Gaussian:
        """As `TextTower`, (B, D), with the timestep dropped where the mode (T0) does not give it to this tower."""
        return self.text(tokens, mask, t if self.size.mode[3] == "1" else None)


def _distribution(width: int, latent: int, log_variance: float | None) -> nn.Linear:
    layer = Linear(width, 2 * latent)
    if log_variance is not None:
        nn.init.constant_(layer.bias[latent:].data, log_variance)
    return layer


def _stack_frames(motion: Tensor, stack: int) -> Tensor:
    """(B, T, F) to (B, ceil(T / stack), stack * F), zero padded."""
    missing = -motion.shape[1] % stack
    if missing:
        motion = F.pad(motion, (0, 0, 0, missing))  # (B, n stack, F)
    return motion.reshape(len(motion), -1, stack * motion.shape[-1])  # (B, n, stack F)


def _token_lengths(lengths: Tensor, stack: int) -> Tensor:
    return torch.div(lengths + stack - 1, stack, rounding_mode="floor")  # (B,)


def _with_heads(
    token: Tensor, time: Tensor | None, sequence: Tensor, visible: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the global token, and the time token (B, D) where there is one, before a sequence and its mask."""
    heads = token.expand(len(sequence), 1, -1)  # (B, 1, D)
    if time is not None:
        heads = torch.cat((heads, time[:, None]), dim=1)  # (B, 2, D)
    return torch.cat((heads, sequence), dim=1), F.pad(visible, (heads.shape[1], 0), value=True)


def _embed_time(layer: TimeEmbedding, features: int, t: Tensor | int, batch: int, like: Tensor) -> Tensor:
    # A number is written by a kernel: `torch.tensor(t, device=...)` would copy it from the host and wait.
    steps = (
        t.to(like.device).expand(batch)
        if isinstance(t, Tensor)
        else torch.full((batch,), t, device=like.device)
    )
    return layer(timestep_features(steps, features).to(like.dtype))  # (B, D)
