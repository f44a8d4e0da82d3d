"""An encoder of one vector a prompt, for tests of what stands in for one."""

from collections.abc import Sequence

import torch

from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.prompt_cleaning import clean_prompt


class OneVector(TextEncoder):
    name, identity, width, pooled_width, fixed_tokens = "one", "one-1", 8, None, 1

    def cleaned(self, text: str) -> str:
        return clean_prompt(text)

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        raise AssertionError("its files are not here")


def vector(text: str) -> torch.Tensor:
    """(8,) that tells texts apart."""
    return torch.arange(8.0) + len(text)
