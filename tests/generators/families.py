"""Every family at tiny size, in one list: the conformance tests and the tests of official checkpoints read it."""

from collections.abc import Sequence
from typing import Any

import torch

from motionrft.generators import Generator, build_generator
from motionrft.text.base import TextEncoder, TextFeatures

TEXT_WIDTH = 24


class WordEncoder(TextEncoder):
    """A text encoder without weights: one fixed random vector a word, their mean as the pooled vector."""

    name = "words"
    identity = "words-of-the-tests"

    def __init__(self, width: int = TEXT_WIDTH, pooled_width: int | None = None):
        self.width, self.pooled_width = width, pooled_width or width

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        rows = [self._states(text) for text in texts]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        counts = torch.tensor([len(row) for row in rows])
        pooled = torch.stack([row.mean(0) for row in rows]).repeat(1, self.pooled_width // self.width + 1)
        mask = torch.arange(tokens.shape[1])[None] < counts[:, None]
        return TextFeatures(tokens, mask, pooled[:, : self.pooled_width])

    def _states(self, text: str) -> torch.Tensor:
        words = ["<start>", *text.split(), "<end>"]
        seeds = [sum(map(ord, word)) for word in words]
        return torch.stack(
            [torch.randn(self.width, generator=torch.Generator().manual_seed(s)) for s in seeds]
        )


STACK = {"layers": 3, "heads": 4, "feedforward": 32}
VAE = {"kind": "transformer", "tokens": 1, "hidden": 16, **STACK}
LATENT = {"latent_width": 16, "hidden": 16, "text_width": TEXT_WIDTH, **STACK}
FRAMES = {"width": 16, "text_width": TEXT_WIDTH, "layers": 2, "heads": 4, "feedforward": 32, "positions": 200}

TINY: dict[str, dict[str, Any]] = {
    "mld": {"family": "mld", "autoencoder": VAE, "denoiser": LATENT},
    "mld++": {
        "family": "mld",
        "autoencoder": VAE | {"tokens": 4, "width": 8},
        "denoiser": LATENT | {"latent_width": 8, "project": True, "text_path": "linear"},
    },
    "motionlcm": {
        "family": "mld",
        "autoencoder": VAE | {"tokens": 4, "width": 8},
        "denoiser": LATENT | {"latent_width": 8, "project": True, "text_path": "linear", "guidance_width": 8},
        "sampler": "lcm",
        "steps": 4,
        "guidance": 13.5,
    },
    "built-in": {
        "family": "mld",
        "autoencoder": {"kind": "convolutional", "width": 8, "hidden": 16, "levels": 2},
        "denoiser": LATENT
        | {"latent_width": 8, "project": True, "text_path": "queries", "context_first": True},
        "text_features": "tokens",
    },
    "mdm": {"family": "mdm", "denoiser": FRAMES, "train_times": 10},
    "mdm-masked": {"family": "mdm", "denoiser": FRAMES | {"mask_frames": True}, "train_times": 10},
    "mdm-decoder": {
        "family": "mdm",
        "denoiser": FRAMES | {"architecture": "decoder", "mask_frames": True},
        "text_features": "tokens",
        "train_times": 10,
    },
}
"""Name of a variant -> its configuration."""


def tiny(name: str, seed: int = 0) -> Generator:
    """The variant with random weights and statistics, reading texts through `WordEncoder`."""
    torch.manual_seed(seed)
    generator = build_generator(TINY[name]).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            # Published initialisations leave some layers at zero, which would hide what flows through them.
            parameter.add_(0.05 * torch.randn_like(parameter))
        generator.mean.copy_(0.1 * torch.randn_like(generator.mean))
        generator.std.copy_(0.5 + torch.rand_like(generator.std))
    generator.use_text_encoder(WordEncoder())
    return generator.requires_grad_(True)
