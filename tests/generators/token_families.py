"""Token generators at tiny size, as `families` holds the diffusion ones."""

from typing import Any

import torch

from motionrft.generators import TokenGenerator, build_generator
from tests.generators.families import TEXT_WIDTH, WordEncoder

TINY_TOKENS: dict[str, dict[str, Any]] = {
    "token-decoder": {
        "family": "token-decoder",
        "codes": 24,
        "code_width": 8,
        "vq_width": 12,
        "vq_depth": 1,
        "width": 16,
        "layers": 2,
        "heads": 4,
        "feedforward": 32,
        "text_width": TEXT_WIDTH,
        "max_frames": 80,
    },
}


def tiny_tokens(name: str) -> TokenGenerator:
    """With seeded weights, a codebook that is used, and words for a text encoder."""
    torch.manual_seed(0)
    generator = build_generator(TINY_TOKENS[name]).eval()
    assert isinstance(generator, TokenGenerator)
    generator.vq.quantizer.codebook.normal_()
    for parameter in generator.language_model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # texts and places matter
    generator.use_text_encoder(WordEncoder())
    return generator
