"""Linear attention of MotionDiffuse and StableMoFusion: cost in proportion to frames, not to their square.

Queries are a softmax over the channels of a head, keys a softmax over positions; there is no 1 / sqrt(d)
(Shen et al. 2021).
"""

from torch import Tensor, nn

from motionrft.linear import Linear


def linear_attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None
) -> Tensor:
    """(B, T, D) queries over (B, N, D) keys and values to (B, T, D); mask (B, N), True at valid positions."""
    if mask is not None:
        key = key.masked_fill(~mask[..., None], float("-inf"))  # (B, N, D)
        value = value * mask[..., None].to(value.dtype)  # (B, N, D)
    q = _split(query, heads).softmax(dim=-1)  # (B, H, T, d)
    k = _split(key, heads).softmax(dim=-2)  # (B, H, N, d)
    context = k.transpose(-1, -2) @ _split(value, heads)  # (B, H, d, d)
    return (q @ context).transpose(1, 2).flatten(2)  # (B, T, D)


_LOWERED = 1e5


def full_attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None
) -> Tensor:
    """Ordinary attention with 1 / sqrt(d); every position is seen, padded ones too.

    The published variant subtracts 100,000 from whole rows of padded *queries*, which softmax undoes up to rounding.
    The rounding is large enough to show in padded rows, and those are seen: it is kept.
    """
    q, k = _split(query, heads), _split(key, heads)  # (B, H, T, d), (B, H, N, d)
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # (B, H, T, N)
    if mask is not None:
        logits = logits + ((~mask) * -_LOWERED).to(logits.dtype)[:, None, :, None]
    return (logits.softmax(dim=-1) @ _split(value, heads)).transpose(1, 2).flatten(2)  # (B, T, D)


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, T, d)


class FrameAttention(nn.Module):
    """Attention of frames to themselves or to a text, pre-normed, without output projection.

    Args:
        width: D of the frames. memory_width: of the text, None for self-attention.
        quadratic: ordinary attention instead of the linear one.
    """

    def __init__(self, width: int, heads: int, memory_width: int | None = None, quadratic: bool = False):
        super().__init__()
        self.heads, self.quadratic = heads, quadratic
        self.norm = nn.LayerNorm(width)
        self.text_norm = None if memory_width is None else nn.LayerNorm(memory_width)
        self.query = Linear(width, width)
        self.key = Linear(memory_width or width, width)
        self.value = Linear(memory_width or width, width)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """x (B, T, D), memory (B, L, memory_width), mask (B, T) for self-attention, to (B, T, D)."""
        frames = self.norm(x)  # (B, T, D)
        seen = frames if self.text_norm is None else self.text_norm(memory)  # (B, T or L, D)
        query, key, value = self.query(frames), self.key(seen), self.value(seen)
        if self.quadratic:
            return full_attention(query, key, value, self.heads, mask)
        return linear_attention(query, key, value, self.heads, mask)
