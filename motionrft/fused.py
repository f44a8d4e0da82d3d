"""The two halves of a frozen post-norm transformer layer on a processor, each as one node of the graph.

A judge's gradient goes to what it judges and never to its weights. Written out for that, y = LN(x + attention(x)) and
y = LN(x + W2 gelu(W1 x)) keep nine tenths of what autograd keeps of the same arithmetic, add residuals in place, and ask
Python six times less often. Where no gradient is asked for, nothing is kept at all.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from motionrft.linear import Linear, gelu_of, linear, product_back

_BLOCK = 2**18
"""Attention weights (heads x T x T, of several items) that backward computes at once: 1 MiB, which a cache holds."""


class Norm(NamedTuple):
    """A LayerNorm over the last axis: weight (D,), bias (D,), eps."""

    weight: Tensor
    bias: Tensor
    eps: float

    @staticmethod
    def of(layer: nn.LayerNorm) -> "Norm":
        return Norm(layer.weight, layer.bias, layer.eps)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) to its norm, and mean and inverse deviation (B, T, 1)."""
        return torch.native_layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


def needed(mask: Tensor | None) -> Tensor | None:
    """A mask of visible positions (B, T), or None where all of them are and it costs nothing to ask."""
    if mask is None or mask.device.type != "cpu" or torch.compiler.is_compiling():
        return mask
    return None if bool(mask.all()) else mask


def suits(x: Tensor, *layers: nn.Module) -> bool:
    """Whether the halves made of `layers` may be computed here for x (B, T, D): plain float32 and nothing to train."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    if any(layer.training or type(layer) not in (Linear, nn.LayerNorm) for layer in layers):
        return False
    if torch.is_autocast_enabled("cpu"):
        return False
    return not torch.is_grad_enabled() or not any(
        parameter.requires_grad for layer in layers for parameter in (layer.weight, layer.bias)
    )


def attend(
    x: Tensor,
    packed: Tensor,
    bias: Tensor,
    out: nn.Linear,
    norm: nn.LayerNorm,
    heads: int,
    mask: Tensor | None,
) -> Tensor:
    """LN(x + attention(x)) of x (B, T, D), to (B, T, D); `packed` (3 D, D) and `bias` (3 D,) give queries, keys, values.

    Args:
        mask: (B, T), True where a position is visible; None: all are.
    """
    arguments = (x, packed, bias, out.weight, out.bias, Norm.of(norm), heads, mask)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Attend.apply(*arguments)
    return _attended(*arguments)[0]


def feed(x: Tensor, up: Linear, down: Linear, norm: nn.LayerNorm) -> Tensor:
    """LN(x + down(gelu(up(x)))) of x (B, T, D), to (B, T, D)."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _Feed.apply(x, up.weight, up.bias, down.weight, down.bias, Norm.of(norm))
    with torch.no_grad():
        return Norm.of(norm)(down(gelu_of(up, x)).add_(x))[0]


class _Attend(torch.autograd.Function):
    """LN(x + attention(x)); attention's weights are computed again in backward."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, packed: Tensor, bias: Tensor, out: Tensor, out_bias: Tensor, norm: Norm,
        heads: int, mask: Tensor | None,
    ) -> Tensor:  # fmt: skip
        y, qkv, total, mean, rstd = _attended(x, packed, bias, out, out_bias, norm, heads, mask)
        kept = (qkv, total, mean, rstd, packed, out, norm.weight, norm.bias, mask)
        ctx.save_for_backward(*kept)  # type: ignore[arg-type]
        ctx.heads = heads  # type: ignore[attr-defined]
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        qkv, total, mean, rstd, packed, out, weight, bias, mask = ctx.saved_tensors  # type: ignore[attr-defined]
        to_total = _norm_back(gradient, total, mean, rstd, weight, bias)  # (B, T, D)
        to_mixed = product_back(to_total, out)  # (B, T, D)
        to_qkv = attention_back(to_mixed, qkv, ctx.heads, mask)  # type: ignore[attr-defined]
        return (product_back(to_qkv, packed).add_(to_total), *(None,) * 7)


class _Feed(torch.autograd.Function):
    """LN(x + W2 gelu(W1 x))."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor, norm: Norm
    ) -> Tensor:
        hidden = linear(x, up, up_bias)  # (B, T, M)
        total = linear(F.gelu(hidden), down, down_bias).add_(x)  # (B, T, D)
        y, mean, rstd = norm(total)
        ctx.save_for_backward(hidden, total, mean, rstd, up, down, norm.weight, norm.bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, total, mean, rstd, up, down, weight, bias = ctx.saved_tensors  # type: ignore[attr-defined]
        to_total = _norm_back(gradient, total, mean, rstd, weight, bias)  # (B, T, D)
        to_hidden = torch.ops.aten.gelu_backward(product_back(to_total, down), hidden)  # (B, T, M)
        return (product_back(to_hidden, up).add_(to_total), *(None,) * 5)


@torch.no_grad()
def _attended(
    x: Tensor, packed: Tensor, bias: Tensor, out: Tensor, out_bias: Tensor, norm: Norm, heads: int,
    mask: Tensor | None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The result (B, T, D), then what backward needs: (B, T, 3 D), (B, T, D), and (B, T, 1) twice."""
    qkv = linear(x, packed, bias)  # (B, T, 3 D)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    visible = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, T)
    mixed = F.scaled_dot_product_attention(q, k, v, visible).transpose(1, 2).flatten(2)  # (B, T, D)
    total = linear(mixed, out, out_bias).add_(x)  # (B, T, D)
    y, mean, rstd = norm(total)
    return y, qkv, total, mean, rstd


def attention_back(gradient: Tensor, qkv: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Gradient of softmax(q k^T / sqrt(d)) v, (B, T, D), to packed queries, keys and values (B, T, 3 D).

    With P the weights and dP = dO v^T: dv = P^T dO, dq = dS k, dk = dS^T q, where dS = P (dP - rowsum(P dP)). A few items
    at a time, so that P stays in the cache.
    """
    batch, rows, _ = gradient.shape
    width = qkv.shape[-1] // (3 * heads)  # d
    scale = width**-0.5
    to_qkv = torch.empty_like(qkv)  # (B, T, 3 D)
    items = max(1, _BLOCK // (heads * rows * rows))
    for first in range(0, batch, items):
        some = slice(first, first + items)
        parts = qkv[some].view(-1, rows, 3, heads, width).permute(2, 0, 3, 1, 4)  # (3, b, H, T, d)
        q, k, v = parts.contiguous().flatten(1, 2)  # (b H, T, d) each
        q *= scale
        scores = torch.bmm(q, k.transpose(1, 2))  # (b H, T, T)
        if mask is not None:
            hidden = ~mask[some].repeat_interleave(heads, 0)[:, None]  # (b H, 1, T)
            scores.masked_fill_(hidden, float("-inf"))
        weights = scores.softmax(-1)
        back = gradient[some].view(-1, rows, heads, width).transpose(1, 2).flatten(0, 1)  # (b H, T, d)
        to_scores = torch.ops.aten._softmax_backward_data(
            torch.bmm(back, v.transpose(1, 2)), weights, -1, torch.float32
        )
        into = to_qkv[some].view(-1, rows, 3, heads, width)  # (b, T, 3, H, d)
        found = (
            torch.bmm(to_scores, k).mul_(scale),
            torch.bmm(to_scores.transpose(1, 2), q),
            torch.bmm(weights.transpose(1, 2), back),
        )
        for number, part in enumerate(found):
            into[:, :, number] = part.view(-1, heads, rows, width).transpose(1, 2)
    return to_qkv


def _norm_back(
    gradient: Tensor, total: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """A LayerNorm's gradient to its input alone, (B, T, D)."""
    back = torch.ops.aten.native_layer_norm_backward
    shape = list(total.shape[-1:])
    return back(gradient.contiguous(), total, shape, mean, rstd, weight, bias, [True, False, False])[0]
