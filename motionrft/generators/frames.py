"""Between a model's normalised frames and motion, and between texts and what a model reads of them."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import zero_padding
from motionrft.representations.statistics import CONSTANT
from motionrft.text.base import TextEncoder, TextFeatures

TextPart = Literal["pooled", "tokens"]


def to_motion(
    frames: Tensor, mean: Tensor, std: Tensor, lengths: Tensor, padded: int | None = None
) -> Tensor:
    """De-normalise (B, T, D) frames; zero beyond each length, cut or padded to `padded` frames, else to the
    longest.
    """
    padded = int(lengths.max()) if padded is None else padded
    frames = frames[:, :padded]  # (B, T, D)
    if frames.shape[1] < padded:
        frames = torch.nn.functional.pad(frames, (0, 0, 0, padded - frames.shape[1]))  # (B, padded, D)
    return zero_padding(frames * std + mean, lengths)  # (B, padded, D)


def from_motion(motion: Tensor, mean: Tensor, std: Tensor, lengths: Tensor) -> Tensor:
    """Normalise (B, T, D) motions; zero beyond each length, and where a feature never changes (std 0)."""
    return zero_padding((motion - mean) / torch.where(std < CONSTANT, torch.ones_like(std), std), lengths)


def read_texts(
    encoder: TextEncoder, texts: Sequence[str], part: TextPart, device: torch.device
) -> TextFeatures:
    """What a model reads of texts: the token states, or the pooled vector as the only token.

    Of an encoder that makes nothing but one vector of a text, both are that vector.

    Raises:
        UserError: the pooled vector is wanted of an encoder that has none.
    """
    features = encoder.encode(texts).to(device)  # (B, L, D) tokens
    if part == "tokens" or (encoder.fixed_tokens == 1 and features.pooled is None):
        return features
    if features.pooled is None:
        raise UserError(f"the text encoder {encoder.name} has no pooled vector, which this model reads")
    return TextFeatures(features.pooled[:, None], torch.ones_like(features.mask[:, :1]))  # (B, 1, D)
