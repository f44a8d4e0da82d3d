"""HY-Motion's network: a two-stream diffusion transformer over motion frames and text tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators.rotary import interleaved_rotary, rotate_pairs
from motionrft.linear import Linear
from motionrft.text.base import TextFeatures
from motionrft.transformer import timestep_features

_EPS = 1e-6


class TwoLayers(nn.Module):
    """Linear, silu, linear; the published names are `linears` or `blocks`."""

    def __init__(self, inputs: int, width: int, name: str):
        super().__init__()
        self.inputs, self.layers = inputs, name
        self.add_module(name, nn.Sequential(Linear(inputs, width), nn.SiLU(), Linear(width, width)))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.layers)(x)


class Modulation(nn.Module):
    """`count` vectors of width D from silu of the conditioning vector."""

    def __init__(self, width: int, count: int):
        super().__init__()
        self.count = count
        self.linear = Linear(width, count * width)

    def forward(self, conditioning: Tensor) -> tuple[Tensor, ...]:
        """conditioning (B, 1, D) to `count` times (B, 1, D)."""
        return self.linear(F.silu(conditioning)).chunk(self.count, dim=-1)  # (B, 1, D) each


class Mlp(nn.Module):
    """`fc1`, activation, `fc2`."""

    def __init__(self, width: int, hidden: int, tanh_gelu: bool):
        super().__init__()
        self.tanh_gelu = tanh_gelu
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc1(x)  # (B, N, hidden)
        return self.fc2(F.gelu(hidden, approximate="tanh") if self.tanh_gelu else F.silu(hidden))


def split_heads(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, N, 3 D) to q, k, v, each (B, H, N, d)."""
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, N, d) each
    return q, k, v


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without parameters, then scale and shift."""
    return F.layer_norm(x, x.shape[-1:], eps=_EPS) * (1 + scale) + shift  # (B, N, D)


class RefinerBlock(nn.Module):
    """Self-attention among the text tokens and an MLP, each behind a gate."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=_EPS), nn.LayerNorm(width, eps=_EPS)
        self.self_attn_qkv = Linear(width, 3 * width)
        self.self_attn_q_norm = nn.LayerNorm(width // heads, eps=_EPS)
        self.self_attn_k_norm = nn.LayerNorm(width // heads, eps=_EPS)
        self.self_attn_proj = Linear(width, width)
        self.mlp = Mlp(width, hidden, tanh_gelu=False)
        self.adaLN_modulation = Modulation(width, 2)

    def forward(self, x: Tensor, conditioning: Tensor, mask: Tensor) -> Tensor:
        gate, mlp_gate = self.adaLN_modulation(conditioning)  # (B, 1, D) each
        q, k, v = split_heads(self.self_attn_qkv(self.norm1(x)), self.heads)  # (B, H, L, d) each
        mixed = F.scaled_dot_product_attention(self.self_attn_q_norm(q), self.self_attn_k_norm(k), v, mask)
        x = x + gate * self.self_attn_proj(mixed.transpose(1, 2).flatten(2))  # (B, L, D)
        return x + mlp_gate * self.mlp(self.norm2(x))  # (B, L, D)


class TextRefiner(nn.Module):
    """Two blocks over the text tokens, told the time and the tokens' mean. Time is not multiplied by 1000 here."""

    def __init__(self, width: int, heads: int, blocks: int = 2, ratio: int = 4):
        super().__init__()
        self.width = width
        self.timestep_encoder = TwoLayers(width, width, "blocks")
        self.context_encoder = TwoLayers(width, width, "linears")
        self.input_embedder = Linear(width, width)
        stack = nn.ModuleList(RefinerBlock(width, heads, ratio * width) for _ in range(blocks))
        self.individual_token_refiner = nn.ModuleDict({"blocks": stack})

    def forward(self, tokens: Tensor, mask: Tensor, t: Tensor) -> Tensor:
        """tokens (B, L, D), mask (B, L), t () or (B,)."""
        weight = mask[..., None].to(tokens.dtype)  # (B, L, 1)
        mean = (tokens * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)  # (B, 1, D)
        time = self.timestep_encoder(timestep_features(t, self.width).to(tokens.dtype))[:, None]
        conditioning = time + self.context_encoder(mean)  # (B, 1, D)
        x = self.input_embedder(tokens)  # (B, L, D)
        for block in self.individual_token_refiner["blocks"].children():
            x = block(x, conditioning, mask[:, None, None])  # (B, L, D)
        return x


class JointAttention:
    """What motion and text attend to; the same in all blocks, so it is made once a call.

    Motion sees motion within a band of frames, and all text; text sees text alone. Splitting the queries spares the
    text rows the motion keys they may not see.

    Args:
        motion: (B, T) valid frames; text: (B, L) valid tokens. band: frames to either side, None for all of them.
        cosine, sine: rotary table rows of [motion, text], or of motion alone where text is not rotated.
    """

    def __init__(self, motion: Tensor, text: Tensor, band: int | None, cosine: Tensor, sine: Tensor):
        seen = motion[:, None, :].expand(-1, motion.shape[1], -1)  # (B, T, T)
        if band is not None:
            frames = torch.arange(motion.shape[1], device=motion.device)  # (T,)
            seen = seen & ((frames[:, None] - frames[None]).abs() <= band)  # (B, T, T)
        words = text[:, None, :].expand(-1, motion.shape[1], -1)  # (B, T, L)
        self.motion_mask = torch.cat([seen, words], dim=2)[:, None]  # (B, 1, T, T + L)
        self.text_mask = text[:, None, None]  # (B, 1, 1, L)
        self.cosine, self.sine = cosine, sine
        self.frames = motion.shape[1]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, H, T + L, d) each, normed and not yet rotated, to (B, T + L, D)."""
        q, k = self._rotated(q), self._rotated(k)  # (B, H, T + L, d) each
        cut = self.frames
        motion = F.scaled_dot_product_attention(q[:, :, :cut], k, v, self.motion_mask)  # (B, H, T, d)
        text = F.scaled_dot_product_attention(q[:, :, cut:], k[:, :, cut:], v[:, :, cut:], self.text_mask)
        return torch.cat([motion, text], dim=2).transpose(1, 2).flatten(2)  # (B, T + L, D)

    def _rotated(self, x: Tensor) -> Tensor:
        """(B, H, T + L, d), rotated as far as the tables reach."""
        rows = self.cosine.shape[0]
        rotated = rotate_pairs(x[:, :, :rows], self.cosine, self.sine)  # (B, H, rows, d)
        return rotated if rows == x.shape[2] else torch.cat([rotated, x[:, :, rows:]], dim=2)


class DoubleBlock(nn.Module):
    """Motion and text in streams of their own, meeting in one attention."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        for stream in ("motion", "text"):
            self.add_module(f"{stream}_mod", Modulation(width, 6))
            self.add_module(f"{stream}_qkv", Linear(width, 3 * width))
            self.add_module(f"{stream}_q_norm", nn.RMSNorm(width // heads, eps=_EPS))
            self.add_module(f"{stream}_k_norm", nn.RMSNorm(width // heads, eps=_EPS))
            self.add_module(f"{stream}_out_proj", Linear(width, width))
            self.add_module(f"{stream}_mlp", Mlp(width, hidden, tanh_gelu=True))

    def forward(
        self, motion: Tensor, text: Tensor, adapter: Tensor, attend: JointAttention
    ) -> tuple[Tensor, Tensor]:
        modulation = [self._part(stream, "mod")(adapter) for stream in ("motion", "text")]
        parts = [
            self._queries(stream, modulated(x, shift, scale))
            for stream, x, (shift, scale, *_) in zip(("motion", "text"), (motion, text), modulation)
        ]
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(*parts))  # (B, H, T + L, d) each
        mixed = attend(q, k, v).split([motion.shape[1], text.shape[1]], dim=1)  # (B, T, D), (B, L, D)
        return (
            self._finish("motion", motion, mixed[0], modulation[0]),
            self._finish("text", text, mixed[1], modulation[1]),
        )

    def _part(self, stream: str, name: str) -> nn.Module:
        return self.get_submodule(f"{stream}_{name}")

    def _queries(self, stream: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = split_heads(self._part(stream, "qkv")(x), self.heads)  # (B, H, N, d) each
        return self._part(stream, "q_norm")(q), self._part(stream, "k_norm")(k), v

    def _finish(self, stream: str, x: Tensor, mixed: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        _, _, gate, shift, scale, mlp_gate = modulation
        x = x + gate * self._part(stream, "out_proj")(mixed)  # (B, N, D)
        return x + mlp_gate * self._part(stream, "mlp")(modulated(x, shift, scale))  # (B, N, D)


class SingleBlock(nn.Module):
    """Motion and text in one stream: attention and MLP side by side from one projection."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads, self.width = heads, width
        self.modulation = Modulation(width, 3)
        self.linear1 = Linear(width, 3 * width + hidden)
        self.linear2 = Linear(width + hidden, width)
        self.q_norm = nn.RMSNorm(width // heads, eps=_EPS)
        self.k_norm = nn.RMSNorm(width // heads, eps=_EPS)

    def forward(self, x: Tensor, adapter: Tensor, attend: JointAttention) -> Tensor:
        shift, scale, gate = self.modulation(adapter)  # (B, 1, D) each
        both = self.linear1(modulated(x, shift, scale))  # (B, T + L, 3 D + hidden)
        qkv, hidden = both[..., : 3 * self.width], both[..., 3 * self.width :]
        q, k, v = split_heads(qkv, self.heads)  # (B, H, T + L, d) each
        mixed = attend(self.q_norm(q), self.k_norm(k), v)  # (B, T + L, D)
        return x + gate * self.linear2(torch.cat([mixed, F.gelu(hidden, approximate="tanh")], dim=-1))


class FinalLayer(nn.Module):
    """Modulated norm and the projection to features."""

    def __init__(self, width: int, features: int):
        super().__init__()
        self.adaLN_modulation = Modulation(width, 2)
        self.linear = Linear(width, features)

    def forward(self, x: Tensor, adapter: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(adapter)  # (B, 1, D) each
        return self.linear(modulated(x, shift, scale))  # (B, T, F)


class HyMotionNetwork(nn.Module):
    """Predicts the velocity of (B, T, F) frames.

    Args:
        features: F. width, layers, heads: a third of the layers are double blocks, the others single ones.
        ratio: hidden width of the MLPs over D.
        token_width, sentence_width: of the language model's states and of the sentence vector.
        band: frames to either side that motion attends to; None for all (the published `mask_mode: null`).
        train_frames: padded length in training. Text positions begin there, however short the motions are: the
            padded frames can then be left out without changing the result.
        text_positions: longest text.
        time_factor: multiplies t in the main time sinusoid; the text refiner's has no factor.
        rotate_text: rotary positions on motion and text; False on motion alone (`apply_rope_to_single_branch`).
    """

    cosine: Tensor  # (train_frames + text_positions, d)
    sine: Tensor  # the same shape

    def __init__(
        self,
        features: int = 201,
        width: int = 1024,
        layers: int = 18,
        heads: int = 16,
        ratio: float = 4.0,
        token_width: int = 4096,
        sentence_width: int = 768,
        band: int | None = 60,
        train_frames: int = 360,
        text_positions: int = 128,
        time_factor: float = 1000.0,
        rotate_text: bool = True,
    ):
        super().__init__()
        self.features, self.width, self.band, self.train_frames = features, width, band, train_frames
        self.time_factor, self.rotate_text = time_factor, rotate_text
        hidden = int(width * ratio)
        self.input_encoder = Linear(features, width)
        self.ctxt_encoder = Linear(token_width, width)
        self.vtxt_encoder = TwoLayers(sentence_width, width, "linears")
        self.timestep_encoder = TwoLayers(width, width, "blocks")
        self.text_refiner = TextRefiner(width, heads)
        doubles = layers // 3
        self.double_blocks = nn.ModuleList(DoubleBlock(width, heads, hidden) for _ in range(doubles))
        self.single_blocks = nn.ModuleList(SingleBlock(width, heads, hidden) for _ in range(layers - doubles))
        self.final_layer = FinalLayer(width, features)
        cosine, sine = interleaved_rotary(train_frames + text_positions, width // heads)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, x: Tensor, t: Tensor, text: TextFeatures, frame_mask: Tensor) -> Tensor:
        """Velocity like x.

        Args:
            x: (B, T, F), T at most `train_frames`; frame_mask: (B, T), True at valid frames.
            t: () or (B,) flow times in [0, 1], 1 = data.
            text: tokens (B, L, token_width) with their mask, pooled (B, sentence_width).
        """
        assert text.pooled is not None
        time = self.timestep_encoder(timestep_features(self.time_factor * t, self.width).to(x.dtype))
        adapter = (time + self.vtxt_encoder(text.pooled))[:, None]  # (B, 1, D)
        words = self.text_refiner(self.ctxt_encoder(text.tokens), text.mask, t)  # (B, L, D)
        frames = self.input_encoder(x)  # (B, T, D)
        attend = self._attention(frame_mask, text.mask)
        for block in self.double_blocks:
            frames, words = block(frames, words, adapter, attend)  # (B, T, D), (B, L, D)
        both = torch.cat([frames, words], dim=1)  # (B, T + L, D)
        for block in self.single_blocks:
            both = block(both, adapter, attend)  # (B, T + L, D)
        return self.final_layer(both[:, : x.shape[1]], adapter)  # (B, T, F)

    def _attention(self, frame_mask: Tensor, text_mask: Tensor) -> JointAttention:
        start, frames, tokens = self.train_frames, frame_mask.shape[1], text_mask.shape[1]
        rows = [slice(0, frames)] + [slice(start, start + tokens)] * self.rotate_text
        cosine, sine = (torch.cat([table[part] for part in rows]) for table in (self.cosine, self.sine))
        return JointAttention(frame_mask, text_mask, self.band, cosine, sine)
