"""Llama's decoder layer (Touvron et al. 2023; grouped keys as in Llama 3) without its causal mask: every token sees all.

Plain functions of tensors, so that a layer's weights live no longer than the caller holds them. Rounding follows the
published code: norms and angles in float32, everything else in the states' own precision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Project = Callable[[str, Tensor], Tensor]
"""Applies the linear layer of that name (`self_attn.q_proj`) to states (L, D)."""


@dataclass(frozen=True)
class LlamaSizes:
    """What `config.json` of a Llama says. theta: base of the rotary frequencies."""

    width: int
    layers: int
    heads: int
    groups: int
    head_width: int
    eps: float
    theta: float

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> "LlamaSizes":
        """Raises `ValueError` for a variant that is computed otherwise, `KeyError` for a size that is not there."""
        rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
        kind = rotary.get("rope_type", rotary.get("type", "default"))
        unlike = {
            "rotary scaling": kind != "default",
            "biases": bool(config.get("attention_bias") or config.get("mlp_bias")),
            "another activation": config.get("hidden_act", "silu") != "silu",
            "another architecture": config.get("model_type") != "llama",
        }
        if any(unlike.values()):
            raise ValueError(f"a Llama with {next(name for name, is_so in unlike.items() if is_so)}")
        width, heads = config["hidden_size"], config["num_attention_heads"]
        return cls(
            width,
            config["num_hidden_layers"],
            heads,
            config.get("num_key_value_heads") or heads,
            config.get("head_dim") or width // heads,
            config["rms_norm_eps"],
            rotary.get("rope_theta") or config.get("rope_theta", 10000.0),
        )


def rms_norm(states: Tensor, weight: Tensor, eps: float) -> Tensor:
    """States (L, D) at root mean square 1, times `weight` (D,) (Zhang and Sennrich 2019)."""
    exact = states.float()
    exact = exact * (exact.square().mean(-1, keepdim=True) + eps).rsqrt()
    return weight * exact.to(states.dtype)


def rotary_angles(length: int, sizes: LlamaSizes, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (L, head width) each, of positions 0 to L - 1 (Su et al. 2021), of the type of `like`."""
    halves = torch.arange(0, sizes.head_width, 2, device=like.device).float() / sizes.head_width
    places = torch.arange(length, device=like.device).float()
    angles = places[:, None] * (1.0 / sizes.theta**halves)  # (L, head width / 2)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def llama_layer(states: Tensor, project: Project, norms: tuple[Tensor, Tensor], sizes: LlamaSizes) -> Tensor:
    """One layer, (L, D) to (L, D), of one text.

    Args:
        project: the layer's seven linear layers by name.
        norms: weights (D,) before attention and before the feed-forward part.
    """
    seen = rms_norm(states, norms[0], sizes.eps)
    states = states + project("self_attn.o_proj", _attention(seen, project, sizes))
    seen = rms_norm(states, norms[1], sizes.eps)
    gated = F.silu(project("mlp.gate_proj", seen)) * project("mlp.up_proj", seen)
    return states + project("mlp.down_proj", gated)


def _attention(seen: Tensor, project: Project, sizes: LlamaSizes) -> Tensor:
    """What each token gathers from all, (L, heads x head width)."""
    length = len(seen)
    cos, sin = rotary_angles(length, sizes, seen)

    def heads(name: str, count: int) -> Tensor:
        return project(f"self_attn.{name}", seen).view(length, count, sizes.head_width).transpose(0, 1)

    def turned(vectors: Tensor) -> Tensor:
        first, second = vectors.chunk(2, dim=-1)
        return vectors * cos + torch.cat((-second, first), dim=-1) * sin

    query = turned(heads("q_proj", sizes.heads))  # (heads, L, head width)
    key, value = turned(heads("k_proj", sizes.groups)), heads("v_proj", sizes.groups)
    repeats = sizes.heads // sizes.groups
    key, value = key.repeat_interleave(repeats, dim=0), value.repeat_interleave(repeats, dim=0)
    mixed = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
    return mixed.transpose(0, 1).reshape(length, -1)
