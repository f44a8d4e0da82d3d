"""MotionReward's adapters and heads: preference and authenticity on a frozen motion tower.

The published adapters are not the usual LoRA everywhere: attention's *inputs* and *output* are adapted, q' = q + s B A q
before the packed projection and o' = o + s B A o after `out_proj`. Both forms merge exactly into plain weights, so
an adapter here only ever computes the weights of an adapted tower: W_q (I + s B A), (I + s B A) W_o, W + s B A.
Training differentiates through the merge, inference keeps its result. Dropout on an adapter's input cannot be
merged and is left out; the tower's own dropout stays.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from motionrft.linear import Linear
from motionrft.reward.motionreward.encoder import MotionTower
from motionrft.reward.motionreward.gaussian import Gaussian
from motionrft.transformer import Attention

PARTS = ("q", "k", "v", "o")
_CHILD = "-"
"""Stands for the dot of a target's name: module names cannot hold dots."""


class LowRank(nn.Module):
    """The update s B A: `lora_A` (r, in), `lora_B` (out, r), zero at the start."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.lora_A = nn.Parameter(torch.empty(rank, inputs))  # (r, in)
        self.lora_B = nn.Parameter(torch.zeros(outputs, rank))  # (out, r)
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self) -> Tensor:
        return self.lora_B @ self.lora_A  # (out, in)


class Adapter(nn.Module):
    """Low-rank updates of a motion tower: every encoder block's attention and feed-forward, and all projections.

    Args:
        tower: only read for names and shapes.
        rank, alpha: the scale is alpha / rank.
    """

    def __init__(self, tower: MotionTower, rank: int = 16, alpha: float = 32.0) -> None:
        super().__init__()
        self.rank, self.alpha = rank, alpha
        self.updates = nn.ModuleDict()
        for name, inputs, outputs in adapted_layers(tower):
            self.updates[name.replace(".", _CHILD)] = LowRank(inputs, outputs, rank)

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def update(self, target: str) -> Tensor:
        """s B A, (out, in), of a target such as `encoder.middle_block.linear1` or `encoder.middle_block.self_attn.q`."""
        return self.scale * self.updates[target.replace(".", _CHILD)]()

    def merged(self, tower: MotionTower) -> dict[str, Tensor]:
        """The adapted tower's weights by name, where they differ from the tower's; differentiable in A and B."""
        weights: dict[str, Tensor] = {}
        for name, module in tower.named_modules():
            if isinstance(module, Attention):
                weights.update(self._merged_attention(name, module))
            elif f"{name}".replace(".", _CHILD) in self.updates:
                weights[f"{name}.weight"] = module.get_parameter("weight") + self.update(name)
        return weights

    def _merged_attention(self, name: str, attention: Attention) -> dict[str, Tensor]:
        packed = [
            weight + weight @ self.update(f"{name}.{part}")
            for weight, part in zip(attention.in_proj_weight.chunk(3), PARTS, strict=False)
        ]
        after, out = self.update(f"{name}.o"), attention.out_proj  # (D, D)
        return {
            f"{name}.in_proj_weight": torch.cat(packed),
            f"{name}.out_proj.weight": out.weight + after @ out.weight,
            f"{name}.out_proj.bias": out.bias + after @ out.bias,
        }


class Head(nn.Module):
    """Latent to a few numbers through three GELU layers: 2L, L, L/2 wide."""

    def __init__(self, latent: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.fc1 = Linear(latent, 2 * latent)
        self.fc2 = Linear(2 * latent, latent)
        self.fc3 = Linear(latent, latent // 2)
        self.fc4 = Linear(latent // 2, outputs)
        self.drop = nn.Dropout(dropout)

    def forward(self, z: Tensor) -> Tensor:
        """(B, L) to (B, outputs)."""
        for layer in (self.fc1, self.fc2, self.fc3):
            z = self.drop(F.gelu(layer(z)))  # (B, 2 L), (B, L), (B, L / 2)
        return self.fc4(z)  # (B, outputs)


class Critic(nn.Module):
    """An adapted tower with a head. The tower itself is passed in: it is shared, and frozen.

    Args:
        outputs: 1 for preference (a score, higher is preferred), 2 for authenticity (class 0 real, 1 generated).
    """

    def __init__(self, tower: MotionTower, outputs: int, rank: int = 16, alpha: float = 32.0) -> None:
        super().__init__()
        self.adapter = Adapter(tower, rank, alpha)
        self.head = Head(tower.size.latent, outputs)
        self._kept: dict[str, Tensor] | None = None
        self._twin: tuple[MotionTower, MotionTower] | None = None
        """The tower that was adapted, and the adapted one, which shares with it whatever no adapter touches. In a tuple,
        so that it is no part of this module."""

    def embed(
        self,
        tower: MotionTower,
        motion: Tensor,
        lengths: Tensor,
        representation: str,
        t: Tensor | int | None = None,
    ) -> Gaussian:
        """The adapted tower's Gaussian (B, D) of normalised motions; arguments as `MotionTower.forward`."""
        weights = self._weights(tower)
        if weights is self._kept and self._twin is not None and self._twin[0] is tower and not tower.training:
            adapted: Gaussian = self._twin[1](motion, lengths, representation, t)
            return adapted
        return functional_call(tower, weights, (motion, lengths, representation, t))

    def forward(
        self,
        tower: MotionTower,
        motion: Tensor,
        lengths: Tensor,
        representation: str,
        t: Tensor | int | None = None,
    ) -> Tensor:
        """(B, outputs) of the embedding's mean (published code reads a random sample of the same mean)."""
        return self.head(self.embed(tower, motion, lengths, representation, t).mean)  # (B, outputs)

    def settle(self, tower: MotionTower) -> None:
        """Merge the frozen adapter and keep the result, as buffers that are not saved."""
        with torch.no_grad():
            self._kept = self.adapter.merged(tower)
        self._twin = (tower, _with_weights(tower, self._kept))
        for name, weight in self._kept.items():
            self.register_buffer(name.replace(".", _CHILD), weight, persistent=False)

    def train(self, mode: bool = True) -> "Critic":
        self._forget()
        return super().train(mode)

    def _apply(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self._forget()
        return super()._apply(*args, **kwargs)

    def _forget(self) -> None:
        self._kept = self._twin = None
        self._buffers.clear()

    def _weights(self, tower: MotionTower) -> dict[str, Tensor]:
        """Merged weights: anew while the adapter is trained, kept once it is frozen."""
        if torch.is_grad_enabled() and any(
            parameter.requires_grad for parameter in self.adapter.parameters()
        ):
            return self.adapter.merged(tower)
        if self._kept is None:
            self.settle(tower)
        assert self._kept is not None
        return self._kept


def _with_weights(tower: MotionTower, weights: Mapping[str, Tensor]) -> MotionTower:
    """A tower with some weights of its own and the rest shared: calling it costs no exchange of weights a call."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*tower.parameters(), *tower.buffers())}
    twin = copy.deepcopy(tower, shared).eval()
    for name, weight in weights.items():
        module, _, leaf = name.rpartition(".")
        twin.get_submodule(module).register_parameter(leaf, nn.Parameter(weight, requires_grad=False))
    return twin


def adapted_layers(tower: MotionTower) -> Iterator[tuple[str, int, int]]:
    """Name, inputs and outputs of everything an adapter updates: not the skips, norms, tokens or `dist_layer`."""
    for name, module in tower.named_modules():
        if isinstance(module, Attention):
            width = module.out_proj.out_features
            yield from ((f"{name}.{part}", width, width) for part in PARTS)
        elif isinstance(module, nn.Linear) and _is_adapted(name):
            yield name, module.in_features, module.out_features


def _is_adapted(name: str) -> bool:
    return name.startswith("proj_") or name.endswith((".linear1", ".linear2"))


def ranking_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Mean of -log sigmoid(better - worse) over pairs of scores (B,) (the MotionRFT article, Eq. 9)."""
    return F.softplus(worse - better).mean()
