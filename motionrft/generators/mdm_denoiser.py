"""The denoiser of MDM: a plain transformer over frames, with the text in front (encoder) or as memory
(decoder).
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.linear import Linear
from motionrft.text.base import TextFeatures
from motionrft.transformer import Decoder, Encoder


def interleaved_sinusoids(rows: int, width: int) -> Tensor:
    """(rows, width) table: sines on even channels, cosines on odd ones, frequencies 10000^(-2k/width)."""
    positions = torch.arange(rows, dtype=torch.float32)[:, None]  # (rows, 1)
    frequencies = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    angles = positions * frequencies  # (rows, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (rows, width)


class TimestepEmbedder(nn.Module):
    """Two layers over row t of the position table, which times and frames share."""

    def __init__(self, width: int):
        super().__init__()
        self.time_embed = nn.Sequential(Linear(width, width), nn.SiLU(), Linear(width, width))

    def forward(self, rows: Tensor) -> Tensor:
        return self.time_embed(rows)  # (B, 1, D)


class MdmDenoiser(nn.Module):
    """Predicts clean frames (B, T, F) from noisy ones, a timestep and text features.

    Args:
        features: F. width, layers, heads, feedforward: of the transformer.
        text_width: of the text features (512 for CLIP, 768 for DistilBERT).
        architecture: `encoder` puts one token, text + time, before the frames; `decoder` makes text + time
            the memory.
        time_in_sequence: the decoder also puts the time token before the frames.
        mask_frames: padded frames are hidden from attention. The older releases do not, so that an item's
            result depends on the padded length of its batch.
        positions: rows of the sinusoid table, a constant that is no parameter.
    """

    table: Tensor  # (positions, D)

    def __init__(
        self,
        features: int = 263,
        width: int = 512,
        layers: int = 8,
        heads: int = 4,
        feedforward: int = 1024,
        text_width: int = 512,
        architecture: Literal["encoder", "decoder"] = "encoder",
        time_in_sequence: bool = False,
        mask_frames: bool = False,
        dropout: float = 0.1,
        positions: int = 5000,
    ):
        super().__init__()
        self.features, self.architecture, self.mask_frames = features, architecture, mask_frames
        self.time_in_sequence = time_in_sequence and architecture == "decoder"
        self.input_process = nn.ModuleDict({"poseEmbedding": Linear(features, width)})
        self.output_process = nn.ModuleDict({"poseFinal": Linear(width, features)})
        self.embed_timestep = TimestepEmbedder(width)
        self.embed_text = Linear(text_width, width)
        if architecture == "encoder":
            self.seqTransEncoder = Encoder(width, layers, heads, feedforward, dropout)
        else:
            self.seqTransDecoder = Decoder(width, layers, heads, feedforward, dropout)
        self.register_buffer("table", interleaved_sinusoids(positions, width), persistent=False)

    def forward(self, x: Tensor, t: Tensor, text: TextFeatures, frame_mask: Tensor | None = None) -> Tensor:
        """Clean frames like `x`.

        Args:
            x: (B, T, F); frame_mask: (B, T), True at valid frames, read where `mask_frames`.
            t: () or (B,) training timesteps.
            text: (B, L, text_width) with its mask; L is 1 for a pooled vector.
        """
        # Not table[t]: indexing by a () tensor asks the device for the number.
        rows = self.table.index_select(0, t.reshape(-1))  # (B or 1, D)
        time = self.embed_timestep(rows[:, None])  # (B or 1, 1, D)
        words = self.embed_text(text.tokens) + time  # (B, L, D)
        frames = self.input_process["poseEmbedding"](x)  # (B, T, D)
        mask = frame_mask if self.mask_frames else None
        if self.architecture == "encoder":
            hidden = self.seqTransEncoder(*self._with_first(words, frames, mask))[:, 1:]  # (B, T, D)
        else:
            hidden = self._decode(words, time, frames, mask, text)  # (B, T, D)
        return self.output_process["poseFinal"](hidden)  # (B, T, F)

    def _decode(
        self, words: Tensor, time: Tensor, frames: Tensor, mask: Tensor | None, text: TextFeatures
    ) -> Tensor:
        memory_mask = text.mask if words.shape[1] > 1 else None
        if not self.time_in_sequence:
            return self.seqTransDecoder(self._positioned(frames), words, mask, memory_mask)
        sequence, mask = self._with_first(time.expand(len(frames), -1, -1), frames, mask)  # (B, 1 + T, D)
        return self.seqTransDecoder(sequence, words, mask, memory_mask)[:, 1:]  # (B, T, D)

    def _with_first(self, first: Tensor, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[first, frames] with positions, and its mask: the first token is always visible."""
        sequence = self._positioned(torch.cat([first, frames], dim=1))  # (B, 1 + T, D)
        return sequence, None if mask is None else F.pad(mask, (1, 0), value=True)  # (B, 1 + T)

    def _positioned(self, sequence: Tensor) -> Tensor:
        return sequence + self.table[: sequence.shape[1]].to(sequence.dtype)  # (B, N, D)
