"""The motion tokens of MotionGPT: a convolutional VQ-VAE, four frames a code (Jiang et al. 2023; from T2M-GPT).

The generators that write such tokens are `motionrft.generators.token_generator.TokenGenerator`s.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv1(relu(conv3 dilated(relu(x))))."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))  # (B, C, T)


class ResidualStack(nn.Module):
    """`depth` blocks, dilations growing backwards: 9, 3, 1."""

    def __init__(self, width: int, depth: int, growth: int):
        super().__init__()
        self.model = nn.Sequential(*(ResidualBlock(width, growth**power) for power in reversed(range(depth))))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Stack(nn.Module):
    """A flat list of layers under the name `model`."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Codebook(nn.Module):
    """Nearest of (codes, width) vectors by squared distance."""

    codebook: Tensor  # (codes, width)

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.register_buffer("codebook", torch.zeros(codes, width))

    def nearest(self, x: Tensor) -> Tensor:
        """(B, N, width) to (B, N) int64."""
        squares = x.square().sum(-1, keepdim=True) + self.codebook.square().sum(-1)  # (B, N, codes)
        return (squares - 2 * x @ self.codebook.T).argmin(-1)


class MotionVq(nn.Module):
    """Normalised features (B, T, F) to codes (B, T / 2^down) and back. No masking: give each item its own length.

    Args:
        features: F. codes, code_width: of the codebook. width: channels inside.
        down: halvings of the frame rate; depth, growth: residual blocks a level and their dilations' growth.
    """

    def __init__(
        self,
        features: int = 263,
        codes: int = 512,
        code_width: int = 512,
        width: int = 512,
        down: int = 2,
        depth: int = 3,
        growth: int = 3,
    ):
        super().__init__()
        self.stride = 2**down

        def residuals() -> ResidualStack:
            return ResidualStack(width, depth, growth)

        def conv(inputs: int, outputs: int) -> nn.Conv1d:
            return nn.Conv1d(inputs, outputs, 3, padding=1)

        halvings = [nn.Sequential(nn.Conv1d(width, width, 4, 2, 1), residuals()) for _ in range(down)]
        self.encoder = Stack(conv(features, width), nn.ReLU(), *halvings, conv(width, code_width))
        doublings = [
            nn.Sequential(residuals(), nn.Upsample(scale_factor=2), conv(width, width)) for _ in range(down)
        ]
        ends = [conv(width, width), nn.ReLU(), conv(width, features)]
        self.decoder = Stack(conv(code_width, width), nn.ReLU(), *doublings, *ends)
        self.quantizer = Codebook(codes, code_width)

    def encode(self, features: Tensor) -> Tensor:
        """(B, T, F) to codes (B, T / 2^down), int64."""
        return self.quantizer.nearest(self.latent(features))

    def latent(self, features: Tensor) -> Tensor:
        """(B, T, F) to (B, T / 2^down, code_width), before the nearest code is taken.

        Raises:
            ValueError: T is no multiple of the stride.
        """
        if features.shape[1] % self.stride:
            raise ValueError(f"{features.shape[1]} frames: motion tokens need a multiple of {self.stride}")
        return self.encoder(features.transpose(1, 2)).transpose(1, 2)  # (B, N, code_width)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, N) to features (B, N 2^down, F)."""
        return self.synthesise(self.quantizer.codebook[codes])

    def synthesise(self, vectors: Tensor) -> Tensor:
        """Vectors (B, N, code_width), usually codes, to features (B, N 2^down, F)."""
        return self.decoder(vectors.transpose(1, 2)).transpose(1, 2)
