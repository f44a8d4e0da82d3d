"""ACMDM's autoencoder: causal convolutions over time, each joint on its own with shared weights."""

import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv(nn.Conv2d):
    """Convolution over the frames of (B, C, T, J) that sees the past alone."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1):
        super().__init__(inputs, outputs, (kernel, 1), (stride, 1), dilation=(dilation, 1))
        self.past = 2 if stride > 1 else dilation * (kernel - 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 0, self.past, 0)))  # (B, C, T / stride, J)


class ResidualBlock(nn.Module):
    """x + conv1(silu(conv3 dilated(silu(x))))."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv1 = CausalConv(width, width, 3, dilation=dilation)
        self.conv2 = CausalConv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))  # (B, C, T, J)


class Upsample(nn.Module):
    """Every frame twice, then a convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = CausalConv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.repeat_interleave(2, dim=2))  # (B, C, 2 T, J)


def residual_blocks(width: int, depth: int) -> list[nn.Module]:
    """`depth` blocks with dilations 3^(depth - 1) down to 1."""
    return [ResidualBlock(width, 3**power) for power in reversed(range(depth))]


class Encoder(nn.Module):
    """(B, 3, T, J) to (B, channels, T / 2^down, J)."""

    def __init__(self, width: int, channels: int, depth: int, down: int):
        super().__init__()
        self.conv_in = CausalConv(3, width, 3)
        layers: list[nn.Module] = []
        for _ in range(down):
            # The published list has its padding as a layer of its own, which the identity stands for.
            layers += [nn.Identity(), CausalConv(width, width, 4, stride=2), *residual_blocks(width, depth)]
        self.model = nn.Sequential(*layers)
        self.conv_out = CausalConv(width, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.model(self.conv_in(x)))  # (B, channels, L, J)


class Decoder(nn.Module):
    """(B, channels, L, J) to (B, 3, 2^down L, J)."""

    def __init__(self, width: int, channels: int, depth: int, down: int):
        super().__init__()
        self.conv_in = CausalConv(channels, width, 3)
        layers: list[nn.Module] = []
        for _ in range(down):
            layers += [*residual_blocks(width, depth), Upsample(width)]
        self.model = nn.Sequential(*layers)
        self.conv_out1 = CausalConv(width, width, 3)
        self.conv_out2 = CausalConv(width, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out2(F.silu(self.conv_out1(self.model(self.conv_in(x)))))  # (B, 3, T, J)


class AcmdmAutoencoder(nn.Module):
    """Normalised joints (B, T, J, 3) to a latent (B, channels, T / 2^down, J) and back.

    Args:
        width: channels inside; channels: of the latent.
        depth: residual blocks a level; down: halvings of the frame rate.
    """

    def __init__(self, width: int = 512, channels: int = 4, depth: int = 3, down: int = 2):
        super().__init__()
        self.channels, self.stride = channels, 2**down
        self.encoder = Encoder(width, channels, depth, down)
        self.decoder = Decoder(width, channels, depth, down)

    def encode(self, joints: Tensor) -> Tensor:
        """Frames beyond a multiple of the stride are filled up with the last one."""
        missing = -joints.shape[1] % self.stride
        frames = joints.permute(0, 3, 1, 2)  # (B, 3, T, J)
        return self.encoder(F.pad(frames, (0, 0, 0, missing), mode="replicate") if missing else frames)

    def decode(self, latent: Tensor) -> Tensor:
        return self.decoder(latent).permute(0, 2, 3, 1)  # (B, T, J, 3)
