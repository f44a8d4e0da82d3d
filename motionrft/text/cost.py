"""What the texts of a run cost, for people, before any of them is encoded."""

from collections.abc import Sequence

from motionrft.text.base import TextEncoder


def text_cost(encoder: TextEncoder, texts: Sequence[str]) -> str:
    """`all 152 texts are encoded`, or how many are not, with what, and what that takes."""
    wanted, unknown = len(set(map(encoder.cleaned, texts))), len(encoder.unknown(texts))
    if not unknown:
        return f"all {wanted} texts are encoded"
    cost = f": {encoder.cost}" if encoder.cost else ""
    return f"{unknown} of {wanted} texts to encode with {encoder.name}{cost}"
