"""Kimodo's denoiser: a root stage, a bridge, a body stage (NVIDIA 2026, arXiv 2603.15546; names are its code's).

Each stage is a post-norm transformer over text slots, one time token, one heading token, and the frames. The empty
text slots are constants, but they take part in attention: they cannot be left out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators.kimodo_statistics import LOCAL
from motionrft.generators.mdm_denoiser import TimestepEmbedder, interleaved_sinusoids
from motionrft.lengths import length_mask
from motionrft.linear import Linear
from motionrft.representations.kimodo.features import ROOT
from motionrft.transformer import Encoder

Bridge = Callable[[Tensor, Tensor], Tensor]
"""(root (B, T, 5), lengths (B,)) to the local root (B, T, 4), all normalised."""


class Stage(nn.Module):
    """Frames (B, T, inputs) to frames (B, T, outputs).

    Args:
        text_tokens: slots that the text is padded to with zeros, all of them visible.
        positions: rows of the sinusoid table, for times and for places in the sequence.
    """

    table: Tensor  # (positions, D)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        layers: int,
        heads: int,
        feedforward: int,
        text_width: int,
        text_tokens: int,
        dropout: float,
        positions: int,
    ):
        super().__init__()
        self.text_tokens = text_tokens
        self.embed_text = Linear(text_width, width)
        self.embed_timestep = TimestepEmbedder(width)
        self.linear_first_heading_angle = Linear(2, width)
        self.input_linear = Linear(inputs, width)
        self.seqTransEncoder = Encoder(width, layers, heads, feedforward, dropout)
        self.output_linear = Linear(width, outputs)
        self.register_buffer("table", interleaved_sinusoids(positions, width), persistent=False)

    def forward(self, frames: Tensor, t: Tensor, text: Tensor, lengths: Tensor, heading: Tensor) -> Tensor:
        """(B, T, outputs), in float32 also under autocast: the bridge divides by small deviations.

        Args:
            t: () or (B,) training times. text: (B, L, text_width), L at most `text_tokens`. heading: (B, 2) cos, sin.
        """
        batch = len(frames)
        slots = F.pad(text, (0, 0, 0, self.text_tokens - text.shape[1]))  # (B, text_tokens, text_width)
        rows = self.table.index_select(0, t.reshape(-1))  # (B or 1, D)
        time = self.embed_timestep(rows[:, None]).expand(batch, -1, -1)  # (B, 1, D)
        first = (self.embed_text(slots), time, self.linear_first_heading_angle(heading)[:, None])
        sequence = torch.cat((*first, self.input_linear(frames)), dim=1)
        sequence = sequence + self.table[: sequence.shape[1]].to(sequence.dtype)
        before = sequence.shape[1] - frames.shape[1]
        visible = F.pad(length_mask(lengths, frames.shape[1]), (before, 0), value=True)
        hidden = self.seqTransEncoder(sequence, visible)[:, before:]  # (B, T, D)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.output_linear(hidden.to(self.output_linear.weight.dtype))


class KimodoNetwork(nn.Module):
    """Clean features (B, T, 12 J + 9) from noisy ones, all normalised.

    Args:
        joints: J. width, layers, heads, feedforward: of both stages.
    """

    def __init__(
        self,
        joints: int = 30,
        width: int = 1024,
        layers: int = 16,
        heads: int = 8,
        feedforward: int = 2048,
        text_width: int = 4096,
        text_tokens: int = 50,
        dropout: float = 0.1,
        positions: int = 1000,
    ):
        super().__init__()
        self.joints, self.features = joints, 12 * joints + 9
        self.text_tokens, self.text_width = text_tokens, text_width
        body = self.features - ROOT

        def stage(inputs: int, outputs: int) -> Stage:
            sizes = (width, layers, heads, feedforward, text_width, text_tokens, dropout, positions)
            return Stage(inputs, outputs, *sizes)

        self.root_model = stage(2 * self.features, ROOT)
        self.body_model = stage(LOCAL + body + self.features, body)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor,
        lengths: Tensor,
        heading: Tensor,
        bridge: Bridge,
        observed: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """As the class says. In training mode the body's loss teaches the root stage nothing, as published.

        Args:
            heading: (B, 2) cos and sin of the first frame's. bridge: from one stage to the other.
            observed: (B, T, 12 J + 9) values where `mask`, like it, is 1; None: nothing is fixed.
        """
        told = torch.zeros_like(x) if mask is None else mask
        if mask is not None and observed is not None:
            x = torch.where(mask > 0, observed, x)
        root = self.root_model(torch.cat((x, told), dim=-1), t, text, lengths, heading)  # (B, T, 5)
        local = bridge(root, lengths)  # (B, T, 4)
        if self.training:
            local = local.detach()
        seen = torch.cat((local.to(x.dtype), x[..., ROOT:], told), dim=-1)
        body = self.body_model(seen, t, text, lengths, heading)
        return torch.cat((root, body), dim=-1)
