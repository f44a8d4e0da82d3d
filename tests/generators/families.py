"""Every family at tiny size, in one list: the conformance tests and the tests of official checkpoints read it."""

from collections.abc import Sequence
from typing import Any

import torch

from motionrft.generators import Generator, build_generator
from motionrft.generators.kimodo import Kimodo
from motionrft.text.base import TextEncoder, TextFeatures

TEXT_WIDTH = 24


class WordEncoder(TextEncoder):
    """A text encoder without weights: one fixed random vector a word, their mean as the pooled vector.

    With `positions` it is like CLIP's raw states: a fixed number of them, all visible; the pooled one is the last word's.
    """

    name = "words"
    identity = "words-of-the-tests"

    def __init__(self, width: int = TEXT_WIDTH, positions: int | None = None):
        self.width, self.pooled_width, self.positions = width, width, positions

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        rows = [self._states(text) for text in texts]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        counts = torch.tensor([len(row) for row in rows])
        mask = torch.arange(tokens.shape[1])[None] < counts[:, None]
        if self.positions is None:
            return TextFeatures(tokens, mask, torch.stack([row.mean(0) for row in rows]))
        padded = torch.nn.functional.pad(tokens, (0, 0, 0, self.positions - tokens.shape[1]))
        return TextFeatures(
            padded, torch.ones(padded.shape[:2], dtype=torch.bool), torch.stack([r[-1] for r in rows])
        )

    def _states(self, text: str) -> torch.Tensor:
        words = ["<start>", *text.split(), "<end>"]
        seeds = [sum(map(ord, word)) for word in words]
        return torch.stack(
            [torch.randn(self.width, generator=torch.Generator().manual_seed(s)) for s in seeds]
        )


KIMODO = {
    "width": 16,
    "layers": 2,
    "heads": 4,
    "feedforward": 32,
    "text_width": TEXT_WIDTH,
    "text_tokens": 12,
}
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
    "motiondiffuse": {
        "family": "motiondiffuse",
        "denoiser": {
            "width": 16,
            "layers": 2,
            "heads": 8,
            "feedforward": 32,
            "text_width": 8,
        },
        "text_layers": {"clip_width": TEXT_WIDTH, "width": 8, "layers": 1, "pooled_width": 64},
    },
    "stablemofusion": {
        "family": "stablemofusion",
        "denoiser": {"widths": [64, 64], "time_width": 16, "text_width": 8},
        "text_layers": {"clip_width": TEXT_WIDTH, "width": 8, "layers": 1, "feedforward": 32},
    },
    "acmdm": {
        "family": "acmdm",
        "autoencoder": {"width": 8, "depth": 2},
        "denoiser": {"width": 64, "layers": 2, "heads": 1, "feedforward": 48, "text_width": TEXT_WIDTH},
    },
    "acmdm-patches": {
        "family": "acmdm",
        "autoencoder": {"width": 8, "depth": 2},
        "denoiser": {"width": 64, "layers": 1, "heads": 1, "text_width": TEXT_WIDTH, "patch": 2},
    },
    "hymotion": {
        "family": "hymotion",
        "denoiser": {
            "width": 16,
            "layers": 3,
            "heads": 2,
            "ratio": 2.0,
            "token_width": TEXT_WIDTH,
            "sentence_width": TEXT_WIDTH,
        },
    },
    "kimodo": {"family": "kimodo", "denoiser": KIMODO},
    "kimodo-rotation": {
        "family": "kimodo",
        "denoiser": KIMODO,
        "representation": "rotation",
        "text_features": "tokens",
    },
}
"""Name of a variant -> its configuration."""

ALL_POSITIONS = ("motiondiffuse", "stablemofusion")
"""Families whose text layers see every position of the text encoder."""


def encoder_for(name: str) -> WordEncoder:
    """A test encoder that gives what the variant reads."""
    return WordEncoder(positions=16 if name in ALL_POSITIONS else None)


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
        if isinstance(generator, Kimodo):
            generator.local_std.fill_(30.0)  # as large as velocities between frames of noise are
    generator.use_text_encoder(encoder_for(name))
    return generator.requires_grad_(True)
