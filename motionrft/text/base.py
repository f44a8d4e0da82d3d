"""What a frozen text encoder gives: token states, a mask, and (where it has one) a pooled vector."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.moving import moved


@dataclass(frozen=True)
class TextFeatures:
    """Features of a batch of texts.

    tokens: (B, L, D) states, zero where `mask` is False.
    mask: (B, L) bool, True where there is a token.
    pooled: (B, P) one vector a text, or None for an encoder that has none.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor | None = None

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def index(self, items: Tensor) -> "TextFeatures":
        """The chosen items, in the given order; `items` is (N,) int64 or (B,) bool."""
        pooled = None if self.pooled is None else self.pooled[items]
        return TextFeatures(self.tokens[items], self.mask[items], pooled)

    def expand(self, batch: int) -> "TextFeatures":
        """One text's features (B = 1) repeated for a batch, without copying."""
        pooled = None if self.pooled is None else self.pooled.expand(batch, -1)
        return TextFeatures(self.tokens.expand(batch, -1, -1), self.mask.expand(batch, -1), pooled)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "TextFeatures":
        place, kind = torch.device(device), dtype or self.tokens.dtype
        pooled = None if self.pooled is None else moved(self.pooled, place).to(dtype or self.pooled.dtype)
        return TextFeatures(moved(self.tokens, place).to(kind), moved(self.mask, place), pooled)

    def padded(self, tokens: int) -> "TextFeatures":
        """Zero-padded, or cut, to `tokens` token positions."""
        missing = tokens - self.tokens.shape[1]
        if missing <= 0:
            return TextFeatures(self.tokens[:, :tokens], self.mask[:, :tokens], self.pooled)
        states = torch.nn.functional.pad(self.tokens, (0, 0, 0, missing))
        return TextFeatures(states, torch.nn.functional.pad(self.mask, (0, missing)), self.pooled)

    def without(self, hidden: Tensor) -> "TextFeatures":
        """Without the token states where `hidden`, (B, L) bool on any device, is True: zero, and no token any more."""
        mask = self.mask & ~moved(hidden, self.mask.device)
        return TextFeatures(self.tokens * mask[..., None], mask, self.pooled)


def stack(features: Sequence[TextFeatures]) -> TextFeatures:
    """Join batches of features along the batch, padded to the longest text."""
    longest = max(f.tokens.shape[1] for f in features)
    padded = [f.padded(longest) for f in features]
    pooled = [f.pooled for f in padded if f.pooled is not None]
    return TextFeatures(
        torch.cat([f.tokens for f in padded]),
        torch.cat([f.mask for f in padded]),
        torch.cat(pooled) if len(pooled) == len(padded) else None,
    )


class TextEncoder(ABC):
    """A frozen text encoder: never trained, never adapted, safe to drop from memory once texts are encoded."""

    name: str
    """The encoder's short name, as presets and model configurations write it: `minilm`."""
    identity: str
    """A hash of weights, tokenizer and settings: the key of every cached feature."""
    width: int
    """D of the token states."""
    pooled_width: int | None
    """P of the pooled vector, None where there is none."""
    fixed_tokens: int | None = None
    """Token states that every text has, padding included; None where there are as many as tokens."""
    batch: int = 64
    """Texts that `encode` is best given at once."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Features of the texts, on the encoder's device, without gradient.

        An item's features do not depend on the other texts beyond padding, which is what makes a cache valid.
        """

    @property
    def cost(self) -> str:
        """What encoding takes, for people, where it is no matter of seconds: `16.1 GB of weights are read`."""
        return ""

    def cleaned(self, text: str) -> str:
        """What `encode` makes of a text before it reads it; two texts that are cleaned to one have one vector."""
        return text

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Those of the texts that would have to be encoded now, each once."""
        return list(dict.fromkeys(self.cleaned(text) for text in texts))

    def check(self, texts: Sequence[str]) -> None:
        """Look whether these texts could be encoded here, without encoding them.

        Raises:
            UserError: the encoder's files are missing, or not the right ones.
        """
        return None

    def remember(self, texts: Iterable[str]) -> None:
        """Encode these ahead of being asked, where there is a place to keep them that is not memory."""
        return None
