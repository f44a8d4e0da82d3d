"""A decoder-only transformer over motion tokens that attends to the states of a text encoder; pre-norm, untied head."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.linear import Linear

Past = list[tuple[Tensor, Tensor]]
"""Keys and values (B, H, N, D / H) of each layer, of the tokens written so far."""


class Block(nn.Module):
    """x + self-attention, + attention to the text, + feed-forward, each of a LayerNorm of what is there."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float):
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} does not divide into {heads} attention heads")
        self.heads = heads
        self.norm_self, self.norm_text, self.norm_feed = (nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out_self = Linear(width, 3 * width), Linear(width, width)
        self.q, self.kv, self.out_text = Linear(width, width), Linear(width, 2 * width), Linear(width, width)
        self.linear1, self.linear2 = Linear(width, feedforward), Linear(feedforward, width)
        self.drop = nn.Dropout(dropout)

    def text(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, L, D / H) of a text's states (B, L, D)."""
        k, v = self.kv(memory).chunk(2, dim=-1)
        return self._split(k), self._split(v)

    def forward(
        self, x: Tensor, text: tuple[Tensor, Tensor], text_mask: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (B, N, D) after `past`, which is handed on with x's own keys and values.

        Args:
            text_mask: (B, 1, 1, L) bool, True where there is a text token.
        """
        q, k, v = (self._split(part) for part in self.qkv(self.norm_self(x)).chunk(3, dim=-1))
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        x = x + self.drop(self.out_self(self._attend(q, k, v, None, causal=q.shape[2] > 1)))
        seen = self._attend(self._split(self.q(self.norm_text(x))), *text, text_mask)
        x = x + self.drop(self.out_text(seen))
        return x + self.drop(self.linear2(self.drop(F.gelu(self.linear1(self.norm_feed(x)))))), (k, v)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        mixed = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
        return mixed.transpose(1, 2).flatten(2)  # (B, N, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, N, D / H)


class TokenDecoder(nn.Module):
    """Logits of the next token: K codes and the end.

    Args:
        codes: K; the input has one id more, the start. longest: most tokens of a motion.
        text_width: of the text's states.
    """

    def __init__(
        self,
        codes: int,
        longest: int,
        width: int,
        layers: int,
        heads: int,
        feedforward: int,
        text_width: int,
        dropout: float,
    ):
        super().__init__()
        self.start = codes
        self.embedding = nn.Embedding(codes + 1, width)
        # Drawn in place: arithmetic on a network that is only described would import torch's compiler, two seconds of it.
        self.positions = nn.Parameter(nn.init.normal_(torch.empty(longest + 1, width), std=0.02))  # (M, D)
        self.project_text = Linear(text_width, width)
        self.layers = nn.ModuleList(Block(width, heads, feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = Linear(width, codes + 1)
        self.drop = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def read(self, states: Tensor) -> Past:
        """A text's states (B, L, W) as every layer attends to them."""
        memory = self.project_text(states)  # (B, L, D)
        return [cast(Block, layer).text(memory) for layer in self.layers]

    def forward(
        self, ids: Tensor, text: Past, text_mask: Tensor, past: Past | None = None
    ) -> tuple[Tensor, Past]:
        """Logits (B, N, K + 1) after each of (B, N) ids, and what later ids attend to.

        Args:
            text: as `read` gives. text_mask: (B, L) bool. past: of the ids before these; None at the beginning.
        """
        first = 0 if past is None else past[0][0].shape[2]
        x = self.embedding(ids) + self.positions[first : first + ids.shape[1]]  # (B, N, D)
        x, mask, kept = self.drop(x), text_mask[:, None, None, :], []
        for number, layer in enumerate(self.layers):
            x, own = layer(x, text[number], mask, None if past is None else past[number])
            kept.append(own)
        return self.head(self.norm(x)), kept
