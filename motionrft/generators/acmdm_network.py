"""ACMDM's network: a diffusion transformer over patches of joint latents."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators.rotary import halved_rotary, rotate_halves
from motionrft.linear import Linear
from motionrft.transformer import timestep_features

_EPS = 1e-6
_TIME_WIDTH = 256


def modulation(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), Linear(width, count * width))


class Attention(nn.Module):
    """Self-attention with normed and rotated queries and keys."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=_EPS)
        self.k_norm = nn.RMSNorm(width // heads, eps=_EPS)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, N, d) each
        q, k = (
            rotate_halves(norm(part), cosine, sine) for norm, part in ((self.q_norm, q), (self.k_norm, k))
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2))


class SwiGlu(nn.Module):
    """w3(silu(a) b) with (a, b) = w12(x)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.w12 = Linear(width, 2 * hidden)
        self.w3 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.w12(x).chunk(2, dim=-1)  # (B, N, hidden) each
        return self.w3(F.silu(a) * b)  # (B, N, D)


class Layer(nn.Module):
    """Gated attention and gated MLP, modulated by time and text."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=_EPS), nn.RMSNorm(width, eps=_EPS)
        self.attn = Attention(width, heads)
        self.mlp = SwiGlu(width, hidden)
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x: Tensor, y: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, N, D), y (B, 1, D)."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.adaLN_modulation(y).chunk(6, dim=-1)
        x = x + gate * self.attn(self.norm1(x) * (1 + scale) + shift, cosine, sine, mask)  # (B, N, D)
        return x + mlp_gate * self.mlp(self.norm2(x) * (1 + mlp_scale) + mlp_shift)  # (B, N, D)


class FinalLayer(nn.Module):
    """Modulated norm and the projection to a patch."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.norm_final = nn.RMSNorm(width, eps=_EPS)
        self.linear = Linear(width, outputs)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(y).chunk(2, dim=-1)  # (B, 1, D) each
        return self.linear(self.norm_final(x) * (1 + scale) + shift)  # (B, N, outputs)


class TimeEmbedder(nn.Module):
    """Two layers over the sinusoid of the flow time, unscaled."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = nn.Sequential(Linear(_TIME_WIDTH, width), nn.SiLU(), Linear(width, width))

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        return self.mlp(timestep_features(t, _TIME_WIDTH).to(dtype))  # (B or 1, D)


class AcmdmNetwork(nn.Module):
    """Predicts the velocity of joint latents (B, C, L, J).

    Args:
        channels: C. joints: J. patch: joints of a token, J for one token a frame (S) or 2 (XL).
        width, layers, heads, feedforward: of the transformer; heads are 64 wide, the MLP 2/3 of feedforward.
        text_width: of the pooled text vector.
        max_length: latent frames that the rotary base is made for.
    """

    cosine: Tensor  # (max_length J/p, d)
    sine: Tensor  # the same, (max_length J/p, d)

    def __init__(
        self,
        channels: int = 4,
        width: int = 512,
        layers: int = 8,
        heads: int = 8,
        feedforward: int | None = None,
        text_width: int = 512,
        patch: int = 22,
        joints: int = 22,
        max_length: int = 49,
    ):
        super().__init__()
        if joints % patch:
            raise ValueError(f"{joints} joints do not divide into patches of {patch}")
        self.channels, self.joints, self.patch = channels, joints, patch
        self.patches = joints // patch
        self.x_embedder = nn.Conv2d(channels, width, (1, patch), (1, patch))
        self.t_embedder = TimeEmbedder(width)
        self.y_embedder = Linear(text_width, width)
        hidden = int(2 / 3 * (4 * width if feedforward is None else feedforward))
        self.ACMDMTransformer = nn.ModuleList(Layer(width, heads, hidden) for _ in range(layers))
        self.final_layer = FinalLayer(width, patch * channels)
        tokens = max_length * self.patches
        base = (math.floor(8 * tokens / math.pi) // 100 + 1) * 100
        cosine, sine = halved_rotary(tokens, width // heads, base)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, x: Tensor, t: Tensor, text: Tensor, frame_mask: Tensor | None = None) -> Tensor:
        """x (B, C, L, J); t () or (B,), 1 = data; text (B, text_width); frame_mask (B, L), True at valid frames."""
        y = (self.t_embedder(t, x.dtype) + self.y_embedder(text))[:, None]  # (B, 1, D)
        hidden = self.x_embedder(x).permute(0, 2, 3, 1).flatten(1, 2)  # (B, L J/p, D), frame-major
        mask = None
        if frame_mask is not None:
            mask = frame_mask.repeat_interleave(self.patches, dim=1)[:, None, None]  # (B, 1, 1, L J/p)
        cosine, sine = self.cosine[: hidden.shape[1]], self.sine[: hidden.shape[1]]
        for layer in self.ACMDMTransformer:
            hidden = layer(hidden, y, cosine, sine, mask)  # (B, L J/p, D)
        values = self.final_layer(hidden, y).unflatten(1, (-1, self.patches))  # (B, L, J/p, p C)
        joints = values.unflatten(-1, (self.patch, self.channels)).flatten(2, 3)  # (B, L, J, C)
        return joints.permute(0, 3, 1, 2)  # (B, C, L, J)
