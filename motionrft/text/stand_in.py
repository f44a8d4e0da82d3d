"""Features of the right shape without a text encoder: a dry run measures time and memory, and reads no weights."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.seeds import generator_for

_TOKENS_A_WORD = 1.3
"""Of the tokenizers at hand, on captions of motions; two special tokens come on top."""
_LONGEST = 128


class StandInText(TextEncoder):
    """Random features, the same for the same text, as many and as wide as those of the encoder it stands for."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.name, self.identity = encoder.name, f"stand-in-{encoder.identity}"
        self.width, self.pooled_width = encoder.width, encoder.pooled_width
        self.fixed_tokens = encoder.fixed_tokens

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        counts = torch.tensor([self._tokens(text) for text in texts])
        draws = [generator_for(0, text) for text in texts]
        rows = [torch.randn(int(n), self.width, generator=g) for n, g in zip(counts, draws, strict=True)]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (B, L, D)
        mask = torch.arange(tokens.shape[1])[None] < counts[:, None]
        return TextFeatures(tokens, mask, self._pooled(tokens))

    def remember(self, texts: Iterable[str]) -> None:
        return None

    def _tokens(self, text: str) -> int:
        return self.fixed_tokens or min(2 + round(_TOKENS_A_WORD * len(text.split())), _LONGEST)

    def _pooled(self, tokens: Tensor) -> Tensor | None:
        if self.pooled_width is None:
            return None
        repeats = -(-self.pooled_width // self.width)
        return torch.nn.functional.normalize(tokens[:, 0].repeat(1, repeats)[:, : self.pooled_width], dim=-1)
