"""Token generators at tiny size, as `families` holds the diffusion ones."""

from typing import Any

import torch

from motionrft.generators import TokenGenerator, build_generator
from motionrft.generators.motiongpt import MotionGpt
from tests.generators.families import TEXT_WIDTH, WordEncoder

TEXT_VOCAB = 40

TINY_TOKENS: dict[str, dict[str, Any]] = {
    "motiongpt": {
        "family": "motiongpt",
        "codes": 24,
        "code_width": 8,
        "vq_width": 12,
        "vq_depth": 1,
        "text_vocab": TEXT_VOCAB,
        "sentinels": 0,
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 24,
        "num_layers": 1,
        "num_decoder_layers": 2,
        "num_heads": 2,
        "max_frames": 80,
    },
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
    return with_words(generator)


def with_words(generator: TokenGenerator) -> TokenGenerator:
    """The generator, reading texts without anyone's weights."""
    if isinstance(generator, MotionGpt):
        generator.use_tokenizer(word_tokenizer())
    else:
        generator.use_text_encoder(WordEncoder())
    return generator


def word_tokenizer() -> Any:
    """As flan-T5's: pad, eos, unknown, then words; eos ends a text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = "Generate motion : with frames a person walks someone waves the left hand and then sits down run"
    vocabulary = {word: place for place, word in enumerate(["<pad>", "</s>", "<unk>", *words.split()])}
    vocabulary |= {f"word{place}": place for place in range(len(vocabulary), TEXT_VOCAB)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer
