"""Linear layers whose float32 products run at full width on every CPU.

PyTorch gives a CPU's float32 products to MKL, which keeps to AVX2 on processors that are not Intel's; oneDNN, which the
same build of PyTorch carries for other operations, uses AVX-512 there. On an EPYC with AVX-512 that is 2.2 times as
fast (192 x 256 x 1024 on one thread: 99 against 225 GFLOP/s). `linear` and `Linear` take oneDNN where that helps and are
`torch.nn.functional.linear` and `torch.nn.Linear` everywhere else; results agree to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

_OPERATOR = "_linear_pointwise"
"""PyTorch's own, but private: a test says whether the installed one still declares it so."""
_PLAIN: ContextVar[bool] = ContextVar("torch_products", default=False)


class Linear(nn.Linear):
    """`torch.nn.Linear` through `linear`; same names, same start."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: x (..., in), `weight` (out, in), `bias` (out,) to (..., out)."""
    if _suits_onednn(x, weight):
        if not torch.is_grad_enabled():
            return _product(x.contiguous(), weight.contiguous(), bias)  # (..., out)
        return _OneDnnLinear.apply(x, weight, bias)  # (..., out)
    return F.linear(x, weight, bias)


def product_back(gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient (..., out) of a product with `weight` (out, in) to what was multiplied, (..., in)."""
    if _suits_onednn(gradient, weight):
        return _product(gradient.contiguous(), weight.contiguous().t())  # (..., in)
    return gradient @ weight


def gelu_of(layer: nn.Module, x: Tensor) -> Tensor:
    """gelu(layer(x)); in one pass over the result where `layer` is a plain `Linear` and no graph is kept."""
    if type(layer) is Linear and not torch.is_grad_enabled() and _suits_onednn(x, layer.weight):
        return _product(x.contiguous(), layer.weight, layer.bias, "gelu")  # (..., out)
    return F.gelu(layer(x))


def quicken(module: nn.Module) -> nn.Module:
    """Turn the plain linear layers of a module of someone else's (a text encoder, say) into ours, in place."""
    for child in module.modules():
        if type(child) is nn.Linear:
            child.__class__ = Linear
    return module


@contextmanager
def torch_products() -> Iterator[None]:
    """Within it, `linear` is PyTorch's own: for comparing with numbers that someone else's PyTorch computed.

    Rounding of either library is that of float32, but whatever amplifies it (an adaptive solver that accepts or rejects
    a step) can tell them apart.
    """
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


@cache
def onednn_is_faster() -> bool:
    """Whether this processor has AVX-512 which MKL leaves idle, and this PyTorch the operator that uses it."""
    if not (torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.backends.mkldnn.is_available()):
        return False
    processor = Path("/proc/cpuinfo")
    if not processor.exists() or "AuthenticAMD" not in processor.read_text(encoding="utf-8"):
        return False
    return hasattr(torch.ops.mkldnn, _OPERATOR)


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()  # first: the compiler stops at a context variable
        and not _PLAIN.get()
        and onednn_is_faster()
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


class _OneDnnLinear(torch.autograd.Function):
    """The product and its two gradients; like PyTorch's own, it keeps only what an asked-for gradient needs."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        to_x, to_weight, _ = ctx.needs_input_grad  # type: ignore[attr-defined]
        ctx.save_for_backward(x if to_weight else None, weight if to_x else None)  # type: ignore[arg-type]
        return _product(x.contiguous(), weight.contiguous(), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        to_bias = ctx.needs_input_grad[2]  # type: ignore[attr-defined]
        gradient = gradient.contiguous()
        rows = gradient.view(-1, gradient.shape[-1])  # (M, out)
        return (
            None if weight is None else _product(gradient, weight.contiguous().t()),
            None if x is None else _outer(rows, x.reshape(-1, x.shape[-1])),
            rows.sum(0) if to_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None, then: str = "none") -> Tensor:
    """(N, out) of dense operands, plain or transposed: oneDNN takes rows with gaps too, a hundred times as slowly."""
    return getattr(torch.ops.mkldnn, _OPERATOR)(x, weight, bias, then, [], "none")


def _outer(rows: Tensor, inputs: Tensor) -> Tensor:
    """rows^T inputs, (M, out) and (M, in) to (out, in)."""
    return _product(rows.t(), inputs.contiguous().t())
