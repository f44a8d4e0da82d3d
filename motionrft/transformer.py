"""The post-norm transformer that MLD, MotionReward, SPM and TMR share: plain stacks, and stacks with long skips.

Parameter names are those of `torch.nn.TransformerEncoderLayer` / `TransformerDecoderLayer` and of MLD's skip stacks, so
published weights load as they are. What differs from torch is speed only: batch-first, fused attention, and the parts of
the network whose output nobody reads are not computed (`rows`, one-token memories).

Masks are (B, T) bool, True where a position is visible; None means that all are.
"""

import math
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft import fused
from motionrft.linear import Linear, gelu_of, linear


class Attention(nn.Module):
    """Multi-head attention with torch's packed projection (`in_proj_weight` (3D, D): queries, keys, values)."""

    def __init__(self, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} does not divide into {heads} attention heads")
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))  # (3 D, D): q, k, v
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))  # (3 D,)
        self.out_proj = Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Attend from `query` (B, Q, D) to `memory` (B, K, D), or to itself where memory is None.

        Args:
            mask: (B, K), True where a position is visible; None: all are.
            weight: (3D, D) in place of `in_proj_weight`: that of an adapter.
        """
        packed = self.in_proj_weight if weight is None else weight
        if memory is None:
            q, k, v = linear(query, packed, self.in_proj_bias).chunk(3, dim=-1)  # (B, Q, D) each
        else:
            width = query.shape[-1]
            if memory.shape[1] == 1:
                return self._one_token(memory, packed).expand_as(query)  # (B, Q, D)
            q = linear(query, packed[:width], self.in_proj_bias[:width])  # (B, Q, D)
            k, v = linear(memory, packed[width:], self.in_proj_bias[width:]).chunk(2, dim=-1)
        visible = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, K)
        mixed = F.scaled_dot_product_attention(
            self._split(q), self._split(k), self._split(v), visible, self.dropout if self.training else 0.0
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # (B, Q, D)

    def read(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        join: nn.Linear | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """`forward` for few queries (B, Q, D), without projecting the memory.

        q . (W_k m) is (W_k^T q) . m, and a mean of W_v m is W_v of a mean of m: for a few queries it costs less to
        carry the query to the memory than every memory position to keys and values. Key biases shift all scores of
        a query alike, so they drop out.

        Args:
            memory: (B, K, D), or with `join` (B, K, M), where the positions attended to are join(memory).
            weight: as in `forward`.
        """
        packed = self.in_proj_weight if weight is None else weight
        width, scale = query.shape[-1], (query.shape[-1] // self.heads) ** -0.5
        weights = packed.unflatten(0, (3, self.heads, -1))  # (3, H, D / H, D)
        q = self._split(linear(query, packed[:width], self.in_proj_bias[:width]))
        seen = torch.einsum("bhqd,hdm->bhqm", q * scale, weights[1])  # (B, H, Q, D)
        if join is not None:
            seen = seen @ join.weight  # (B, H, Q, M)
        scores = seen.flatten(1, 2) @ memory.transpose(1, 2)  # (B, H Q, K)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], float("-inf"))
        shares = F.dropout(scores.softmax(-1), self.dropout, self.training)  # (B, H Q, K)
        mean, total = shares @ memory, shares.sum(-1, keepdim=True)  # (B, H Q, M), (B, H Q, 1)
        if join is not None:
            mean = mean @ join.weight.T + total * join.bias  # (B, H Q, D)
        mean, total = (x.unflatten(1, (self.heads, -1)) for x in (mean, total))
        biases = self.in_proj_bias[2 * width :].view(self.heads, 1, -1)  # (H, 1, D / H)
        mixed = torch.einsum("bhqm,hdm->bhqd", mean, weights[2]) + total * biases  # (B, H, Q, D / H)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # (B, Q, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, D / H)

    def _one_token(self, memory: Tensor, packed: Tensor) -> Tensor:
        """The softmax over one key is 1 whatever the query: its value, (B, 1, D), is the answer to every query."""
        values = 2 * memory.shape[-1]
        return self.out_proj(linear(memory, packed[values:], self.in_proj_bias[values:]))


class EncoderLayer(nn.Module):
    """h = LN(x + attention(x)), y = LN(h + W2 gelu(W1 h))."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.linear1 = Linear(width, feedforward)
        self.linear2 = Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B, T, D) with `mask` (B, T) to (B, T, D)."""
        return self._feed(_attended(self, x, mask))  # (B, T, D)

    def first(
        self, rows: int, x: Tensor, mask: Tensor | None = None, join: nn.Linear | None = None
    ) -> Tensor:
        """The first `rows` positions of `forward(x)`, or of `forward(join(x))`: (B, rows, D), still seeing all T."""
        if join is not None and x.shape[1] <= self.self_attn.heads:
            x, join = (
                join(x),
                None,
            )  # so few positions cost less to join than H queries do to carry through it
        head = x[:, :rows] if join is None else join(x[:, :rows])  # (B, rows, D)
        return self._feed(self.norm1(head + self.drop(self.self_attn.read(head, x, mask, join))))

    def _feed(self, h: Tensor) -> Tensor:
        return _fed(self, h, self.norm2)  # (B, T, D)


class DecoderLayer(nn.Module):
    """Self-attention, attention to a memory, feed-forward; a LayerNorm after each residual."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.multihead_attn = Attention(width, heads, dropout)
        self.linear1 = Linear(width, feedforward)
        self.linear2 = Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """x (B or 1, T, D) with `mask` (B or 1, T), memory (B, M, D) with `memory_mask` (B, M), to (B, T, D).

        One x for all B items attends to itself once: nothing of it depends on the memory yet.
        """
        h = _attended(self, x, mask).expand(len(memory), -1, -1)  # (B, T, D)
        h = self.norm2(h + self.drop(self.multihead_attn(h, memory, memory_mask)))  # (B, T, D)
        return _fed(self, h, self.norm3)  # (B, T, D)


def _attended(layer: "EncoderLayer | DecoderLayer", x: Tensor, mask: Tensor | None) -> Tensor:
    """LN(x + attention(x)) of x (B, T, D), (B, T, D)."""
    attention, norm = layer.self_attn, layer.norm1
    if type(attention) is Attention:  # an adapter around it need not show what it holds
        packed, bias, out = attention.in_proj_weight, attention.in_proj_bias, attention.out_proj
        frozen = not torch.is_grad_enabled() or not (packed.requires_grad or bias.requires_grad)
        if frozen and fused.suits(x, out, norm):
            return fused.attend(x, packed, bias, out, norm, attention.heads, mask)
    return norm(x + layer.drop(attention(x, mask=mask)))  # (B, T, D)


def _fed(layer: "EncoderLayer | DecoderLayer", h: Tensor, norm: nn.LayerNorm) -> Tensor:
    """LN(h + W2 gelu(W1 h)) of h (B, T, D), (B, T, D)."""
    if fused.suits(h, layer.linear1, layer.linear2, norm):
        return fused.feed(h, layer.linear1, layer.linear2, norm)
    return norm(h + layer.drop(layer.linear2(layer.drop(gelu_of(layer.linear1, h)))))  # (B, T, D)


class Encoder(nn.Module):
    """Encoder layers one after the other, without a final norm (MDM, TMR); names `layers.{i}`."""

    def __init__(self, width: int, layers: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feedforward, dropout) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None, rows: int | None = None) -> Tensor:
        """x (B, T, D) with `mask` (B, T) to (B, T, D); with `rows`, only the first rows of the result."""
        for layer in self.layers[:-1]:
            x = layer(x, mask)  # (B, T, D)
        last = cast(EncoderLayer, self.layers[-1])
        return last(x, mask) if rows is None else last.first(rows, x, mask)


class Decoder(nn.Module):
    """Decoder layers one after the other, all with the same memory, without a final norm; names `layers.{i}`."""

    def __init__(self, width: int, layers: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, feedforward, dropout) for _ in range(layers))

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)  # (B, T, D)
        return x


class _SkipStack(nn.Module):
    """Names and skips of both skip stacks: k input layers, a middle one, k output layers, a final norm."""

    def __init__(self, width: int, layers: int, make_layer: Callable[[], nn.Module]) -> None:
        super().__init__()
        if layers % 2 == 0:
            raise ValueError(f"a skip stack has an odd number of layers, not {layers}")
        skips = (layers - 1) // 2
        self.input_blocks = nn.ModuleList(make_layer() for _ in range(skips))
        self.middle_block = make_layer()
        self.output_blocks = nn.ModuleList(make_layer() for _ in range(skips))
        self.linear_blocks = nn.ModuleList(Linear(2 * width, width) for _ in range(skips))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)


class SkipEncoder(_SkipStack):
    """Encoder stack with long skips, as in a U-Net: the last pushed output meets the first output layer."""

    def __init__(self, width: int, layers: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        super().__init__(width, layers, lambda: EncoderLayer(width, heads, feedforward, dropout))

    def forward(self, x: Tensor, mask: Tensor | None = None, rows: int | None = None) -> Tensor:
        """x (B, T, D), mask (B, T) to (B, T, D); with `rows`, only the first rows of the result, (B, rows, D)."""
        mask, skips = fused.needed(mask), []
        for block in self.input_blocks:
            x = block(x, mask)  # (B, T, D)
            skips.append(x)
        ends = [self.middle_block, *self.output_blocks]
        joins: list[nn.Linear | None] = [None, *cast(list[nn.Linear], list(self.linear_blocks))]
        for join, block in zip(joins, cast(list[EncoderLayer], ends), strict=True):
            if join is not None:
                x = torch.cat((x, skips.pop()), dim=-1)  # (B, T, 2 D)
            if rows is not None and block is ends[-1]:
                x = block.first(rows, x, mask, join)  # (B, rows, D)
            else:
                x = block(x if join is None else join(x), mask)
        return self.norm(x)  # (B, T or rows, D)


class SkipDecoder(_SkipStack):
    """Decoder stack with long skips; every layer sees the same memory."""

    def __init__(self, width: int, layers: int, heads: int, feedforward: int, dropout: float = 0.1) -> None:
        super().__init__(width, layers, lambda: DecoderLayer(width, heads, feedforward, dropout))

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """x (B or 1, T, D) with `mask` (B or 1, T), memory (B, M, D) with `memory_mask` (B, M), to (B, T, D)."""
        mask, skips = fused.needed(mask), []
        for block in self.input_blocks:
            x = block(x, memory, mask, memory_mask)  # (B, T, D)
            skips.append(x)
        x = self.middle_block(x, memory, mask, memory_mask)  # (B, T, D)
        for join, block in zip(self.linear_blocks, self.output_blocks, strict=True):
            x = join(torch.cat((x, skips.pop()), dim=-1))  # (B, T, D)
            x = block(x, memory, mask, memory_mask)
        return self.norm(x)  # (B, T, D)


class LearnedPositions(nn.Module):
    """One learned table, `pe` (rows, 1, D), added once to a whole sequence."""

    def __init__(self, width: int, rows: int = 500) -> None:
        super().__init__()
        self.pe = nn.Parameter(torch.rand(rows, 1, width))  # (rows, 1, D)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) plus rows 0 to T - 1.

        Raises:
            ValueError: T is more than the table's rows.
        """
        if x.shape[1] > self.pe.shape[0]:
            raise ValueError(
                f"a sequence of {x.shape[1]} positions; the position table has {self.pe.shape[0]}"
            )
        return x + self.pe[: x.shape[1], 0]  # (B, T, D)


def timestep_features(t: Tensor, width: int) -> Tensor:
    """Sinusoids of a timestep, cosine half first: t () or (B,) to (1 or B, width)."""
    half = width // 2
    # Multiplied before it is divided, as published: the other order differs in the last place for most widths.
    exponents = -math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=t.device)  # (half,)
    frequencies = torch.exp(exponents / half)  # (half,)
    angles = t.reshape(-1, 1).float() * frequencies  # (B or 1, half)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)  # (B or 1, width)


class TimeEmbedding(nn.Module):
    """Sinusoids through two layers: names `linear_1` (features to D), `linear_2` (D to D), SiLU between."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.linear_1 = Linear(features, width)
        self.linear_2 = Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(B, features) to (B, D)."""
        return self.linear_2(F.silu(self.linear_1(features)))  # (B, D)
