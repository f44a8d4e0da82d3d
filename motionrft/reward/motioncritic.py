"""MotionCritic (Wang et al. 2024): a human-preference score of SMPL rotations, by MotionBERT's two-stream transformer.

Parameter names are the published ones. Input is (B, T, 25, 3): 24 axis-angle joints, then the root's place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.lengths import length_mask, zero_padding
from motionrft.linear import Linear
from motionrft.representations.convert import convert
from motionrft.representations.names import representation_name
from motionrft.representations.rotation import rotation_matrices
from motionrft.reward.base import Learnt, RewardCondition
from motionrft.rotations import matrix_to_quaternion

CEILING = 12.0
"""Scores above it are left out of the published clipped mean."""


@dataclass(frozen=True)
class MotionCriticSize:
    """What fixes the network; the published one by default.

    width, depth, heads, feedforward: of the backbone's blocks. representation: its output a joint.
    frames, joints: rows of its tables; a longer motion is refused. hidden: width inside the score.
    """

    width: int = 256
    representation: int = 512
    depth: int = 3
    heads: int = 8
    feedforward: int = 1024
    frames: int = 243
    joints: int = 25
    hidden: int = 1024


class _Attention(nn.Module):
    """Multi-head attention over the second last axis, `qkv` packed."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """x (..., N, D) to (..., N, D); `visible` (..., 1, 1, N), True where a position may be attended to."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for part in self.qkv(x).chunk(3, -1)
        )  # (..., H, N, D / H) each
        mixed = F.scaled_dot_product_attention(q, k, v, visible)  # (..., H, N, D / H)
        return self.proj(mixed.transpose(-2, -3).flatten(-2))


class _MLP(nn.Module):
    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = Linear(width, hidden), Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # (..., outputs)


class _Block(nn.Module):
    """Attention over the joints of a frame (`_s`) and over the frames of a joint (`_t`), in either order."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        for stream in ("s", "t"):
            self.add_module(f"norm1_{stream}", nn.LayerNorm(width))
            self.add_module(f"norm2_{stream}", nn.LayerNorm(width))
            self.add_module(f"attn_{stream}", _Attention(width, heads))
            self.add_module(f"mlp_{stream}", _MLP(width, hidden, width))

    def forward(self, x: Tensor, order: str, visible: Tensor | None = None) -> Tensor:
        """x (B, T, J, D); `order` is "st" or "ts"; `visible` (B, T), None: all frames."""
        seen = None if visible is None else visible[:, None, None, None]  # (B, 1, 1, 1, T)
        for stream in order:
            normed = self.get_submodule(f"norm1_{stream}")(x)  # (B, T, J, D)
            attention = self.get_submodule(f"attn_{stream}")
            # Over frames: joints become a batch axis.
            if stream == "s":
                mixed = attention(normed)  # (B, T, J, D)
            else:
                mixed = attention(normed.transpose(1, 2), seen).transpose(1, 2)
            x = x + mixed  # (B, T, J, D)
            x = x + self.get_submodule(f"mlp_{stream}")(self.get_submodule(f"norm2_{stream}")(x))
        return x


class DualStream(nn.Module):
    """MotionBERT's backbone: two orders of each block, fused per joint by learned weights."""

    def __init__(self, size: MotionCriticSize) -> None:
        super().__init__()
        width, block = size.width, (size.width, size.heads, size.feedforward)
        self.joints_embed = Linear(3, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, size.joints, width))  # (1, J, D)
        self.temp_embed = nn.Parameter(torch.zeros(1, size.frames, 1, width))  # (1, frames, 1, D)
        self.blocks_st = nn.ModuleList(_Block(*block) for _ in range(size.depth))
        self.blocks_ts = nn.ModuleList(_Block(*block) for _ in range(size.depth))
        self.ts_attn = nn.ModuleList(Linear(2 * width, 2) for _ in range(size.depth))
        self.norm = nn.LayerNorm(width)
        self.pre_logits = nn.ModuleDict({"fc": Linear(width, size.representation)})
        self.head = Linear(size.representation, 3)
        """Unused; part of the published weights."""

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """(B, T, J, 3) to (B, T, J, representation); `visible` (B, T), None: all frames.

        Raises:
            UserError: more frames than the time table has.
        """
        frames = self.temp_embed.shape[1]
        if x.shape[1] > frames:
            raise UserError(f"a motion of {x.shape[1]} frames; MotionCritic reads at most {frames}")
        x = self.joints_embed(x) + self.pos_embed[:, None] + self.temp_embed[:, : x.shape[1]]  # (B, T, J, D)
        for st, ts, fuse in zip(self.blocks_st, self.blocks_ts, self.ts_attn, strict=True):
            both = st(x, "st", visible), ts(x, "ts", visible)  # (B, T, J, D) each
            shares = fuse(torch.cat(both, dim=-1)).softmax(-1)  # (B, T, J, 2)
            x = both[0] * shares[..., :1] + both[1] * shares[..., 1:]  # (B, T, J, D)
        return torch.tanh(self.pre_logits["fc"](self.norm(x)))


class MotionCriticNetwork(nn.Module):
    """The backbone, the mean over frames, and a two-layer score."""

    def __init__(self, size: MotionCriticSize) -> None:
        super().__init__()
        self.size = size
        self.dstran = DualStream(size)
        self.mlp = _MLP(size.joints * size.representation, size.hidden, 1)

    def forward(self, motion: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T, 25, 3) to (B,); with `lengths` (B,) as if each motion ended there, without: every frame counts.

        The published network has no mask, and judges motions one by one.
        """
        if lengths is None:
            return self.mlp(self.dstran(motion).mean(1).flatten(1))[:, 0]  # (B,)
        visible = length_mask(lengths, motion.shape[1])  # (B, T)
        seen = zero_padding(self.dstran(motion, visible), lengths)  # (B, T, 25, representation)
        return self.mlp(seen.flatten(2).sum(1) / lengths[:, None])[:, 0]  # (B,)


class MotionCriticReward(Learnt):
    """MotionCritic on motions in `rotation` or anything that converts to it; term `preference`.

    Motions are judged together, each as if it ended at its length: to float rounding what one alone gets.
    """

    family: ClassVar[str] = "motioncritic"

    def __init__(
        self,
        network: MotionCriticNetwork,
        weights: Mapping[str, float] | None = None,
        representation: str = "rotation",
    ) -> None:
        super().__init__()
        self.network = network
        self.weigh(weights or {"preference": 1.0})
        self.expect(representation)
        self.eval().requires_grad_(False)

    @property
    def terms(self) -> tuple[str, ...]:
        return ("preference",)

    @property
    def max_frames(self) -> int:
        return self.network.size.frames

    def config(self) -> dict[str, Any]:
        return {"size": asdict(self.network.size)}

    def expect(self, representation: str) -> None:
        """Whatever converts to rotations can be judged."""
        self.representation = representation_name(representation)

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        """Nothing: it does not read."""
        return RewardCondition()

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        rotation = convert(motion, self.representation, "rotation", lengths)  # (B, T, 135)
        # A device is not asked how long the longest is; on the host a batch may be padded for others.
        frames = motion.shape[1] if motion.is_cuda else int(lengths.max())
        poses = zero_padding(axis_angles(rotation[:, :frames]), lengths)  # (B, T, 25, 3)
        scores = self.network(poses, lengths)  # (B,)
        return self.weights["preference"] * scores, {"preference": scores}


def axis_angles(rotation: Tensor) -> Tensor:
    """(B, T, 135) to (B, T, 25, 3): axis-angle of 22 joints, two still hands, the root's place; differentiable."""
    quaternion = matrix_to_quaternion(rotation_matrices(rotation))  # (B, T, 22, 4)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)  # (B, T, 22, 4)
    imaginary = quaternion[..., 1:]  # (B, T, 22, 3)
    squared = imaginary.square().sum(-1, keepdim=True)  # (B, T, 22, 1)
    still = squared < 1e-12
    # atan2 of zeros has no gradient: a joint at rest is linear in its quaternion instead.
    sine = torch.where(still, torch.ones_like(squared), squared).sqrt()  # (B, T, 22, 1)
    factor = torch.where(
        still, torch.full_like(sine, 2.0), 2.0 * torch.atan2(sine, quaternion[..., :1]) / sine
    )
    joints = factor * imaginary  # (B, T, 22, 3)
    hands = joints.new_zeros(*joints.shape[:2], 2, 3)  # (B, T, 2, 3)
    return torch.cat((joints, hands, rotation[..., None, :3]), dim=2)  # (B, T, 25, 3)
