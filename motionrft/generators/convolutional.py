"""A convolutional autoencoder: one latent token for every few frames, trainable on a laptop's two cores.

The built-in generator uses it: a one-token transformer VAE stays at frozen, gliding poses for all the minutes
that two cores have. Every convolution sees zeros beyond the end of its item, so an item's result does not
depend on padding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators.autoencoder import Autoencoder
from motionrft.lengths import length_mask, zero_padding

INITIAL_LOG_VARIANCE = -5.0
"""With the usual start near 0 the latents are noise for a long time."""


class MaskedConv(nn.Module):
    """Conv1d over time on (B, C, T) that sees zeros where the mask is False."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = 1 if stride > 1 else dilation * (kernel // 2)
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, padding, dilation)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.conv(x * mask)  # (B, C, T)


class ResidualBlock(nn.Module):
    """x + conv1(silu(conv3 dilated(silu(x))))."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.wide = MaskedConv(width, width, 3, dilation=dilation)
        self.point = MaskedConv(width, width, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + self.point(F.silu(self.wide(F.silu(x), mask)), mask)  # (B, C, T)


class Level(nn.Module):
    """Two residual blocks with growing dilation, after halving or doubling the frame rate."""

    def __init__(self, width: int, down: bool):
        super().__init__()
        self.down = down
        self.resample = MaskedConv(width, width, 4, stride=2) if down else MaskedConv(width, width, 3)
        self.blocks = nn.ModuleList(ResidualBlock(width, dilation) for dilation in (3, 1))

    def forward(self, x: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """`before` and `after`: masks (B, 1, T) at the level's input and output rates."""
        if self.down:
            x = self.resample(x, before)  # (B, C, T / 2)
        else:
            x = self.resample(x.repeat_interleave(2, dim=-1), after)  # (B, C, 2 T)
        for block in self.blocks:
            x = block(x, after)  # (B, C, T)
        return x


class ConvolutionalAutoencoder(Autoencoder):
    """(B, T, F) to (B, ceil(T / 2^levels), width) and back.

    Args:
        features: F.
        width: d_z of one latent token.
        hidden: channels inside.
        levels: halvings of the frame rate; 2 gives one token for four frames.
    """

    ENCODES = ("enter", "down", "to_latent")

    def __init__(self, features: int = 263, width: int = 16, hidden: int = 128, levels: int = 2):
        super().__init__()
        self.features, self.width, self.levels = features, width, levels
        self.enter = MaskedConv(features, hidden, 3)
        self.down = nn.ModuleList(Level(hidden, down=True) for _ in range(levels))
        self.to_latent = MaskedConv(hidden, 2 * width, 3)
        self.from_latent = MaskedConv(width, hidden, 3)
        self.up = nn.ModuleList(Level(hidden, down=False) for _ in range(levels))
        self.leave = MaskedConv(hidden, features, 3)
        with torch.no_grad():
            assert self.to_latent.conv.bias is not None
            self.to_latent.conv.bias[width:] = INITIAL_LOG_VARIANCE

    @property
    def stride(self) -> int:
        """Frames a latent token stands for."""
        return 2**self.levels

    def tokens(self, frames: int) -> int:
        return -(-frames // self.stride)

    def latent_lengths(self, lengths: Tensor) -> Tensor:
        return (lengths + self.stride - 1) // self.stride  # (B,)

    def encode(self, motion: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.tokens(motion.shape[1])
        masks = self._masks(lengths, tokens, motion.dtype)  # (B, 1, T) each
        x = self.enter(self._held(motion, lengths, tokens * self.stride), masks[0])  # (B, hidden, T)
        for level, before, after in zip(self.down, masks, masks[1:], strict=False):
            x = level(x, before, after)  # (B, hidden, T / 2)
        mean, log_variance = self.to_latent(F.silu(x), masks[-1]).transpose(1, 2).chunk(2, dim=-1)
        latent_lengths = self.latent_lengths(lengths)  # (B,)
        return zero_padding(mean, latent_lengths), zero_padding(log_variance, latent_lengths)

    def decode(self, latent: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        frames = int(lengths.max()) if frames is None else frames
        masks = self._masks(lengths, latent.shape[1], latent.dtype)[::-1]
        x = self.from_latent(latent.transpose(1, 2), masks[0])  # (B, hidden, n)
        for level, before, after in zip(self.up, masks, masks[1:], strict=False):
            x = level(x, before, after)  # (B, hidden, 2 T)
        motion = self.leave(F.silu(x), masks[-1]).transpose(1, 2)  # (B, T, F)
        return zero_padding(motion[:, :frames], lengths)

    def _held(self, motion: Tensor, lengths: Tensor, frames: int) -> Tensor:
        """(B, F, frames): each item's last frame repeated behind its end, so that the last token sees a pose."""
        positions = torch.arange(frames, device=motion.device)[None].minimum(
            lengths[:, None] - 1
        )  # (B, frames)
        return motion.gather(1, positions[..., None].expand(-1, -1, motion.shape[2])).transpose(1, 2)

    def _masks(self, lengths: Tensor, tokens: int, dtype: torch.dtype) -> list[Tensor]:
        """(B, 1, frames) at each rate, finest first; a token's frames are all valid or none is."""
        latent_lengths = self.latent_lengths(lengths)  # (B,)
        rates = [2**level for level in range(self.levels, -1, -1)]
        return [length_mask(latent_lengths * rate, tokens * rate)[:, None].to(dtype) for rate in rates]
