"""A data set of two kinds of motion, and a preset small enough for a test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.pretraining.preset import PretrainPreset
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.seeds import item_seed


class HashedWords(TextEncoder):
    """Token states that are a function of the word alone: a text encoder without weights."""

    name, identity, width, pooled_width = "hashed", "hashed-words", 8, None

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        rows = [["<s>", *text.split()] for text in texts]
        tokens = torch.zeros(len(rows), max(map(len, rows)), self.width)
        for row, words in enumerate(rows):
            for column, word in enumerate(words):
                draws = torch.Generator().manual_seed(item_seed(0, word))
                tokens[row, column] = torch.randn(self.width, generator=draws)
        return TextFeatures(tokens, tokens.abs().sum(-1) > 0)


@pytest.fixture
def hashed_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every generator reads its texts through `HashedWords`."""
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: HashedWords())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    (root / "new_joint_vecs").mkdir(parents=True)
    (root / "texts").mkdir()
    draws = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        names = [f"{split}{n}" for n in range(count)]
        (root / f"{split}.txt").write_text("\n".join(names))
        for n, name in enumerate(names):
            motion = draws.normal(size=(24 + n, 263)) * 0.1 + (n % 2)
            np.save(root / "new_joint_vecs" / name, motion.astype(np.float32))
            (root / "texts" / f"{name}.txt").write_text(f"{'left' if n % 2 else 'both'} hand##0.0#0.0\n")
    np.save(root / "Mean.npy", np.full(263, 0.5, np.float32))
    np.save(root / "Std.npy", np.full(263, 0.5, np.float32))
    return root


@pytest.fixture
def preset(data: Path) -> PretrainPreset:
    autoencoder = {"kind": "convolutional", "features": 263, "width": 4, "hidden": 16, "levels": 2}
    denoiser = {
        "latent_width": 4,
        "hidden": 16,
        "project": True,
        "layers": 3,
        "heads": 2,
        "feedforward": 32,
        "text_width": 8,
        "text_path": "queries",
        "positions": 64,
        "context_first": True,
        "dropout": 0.0,
    }
    return PretrainPreset.of(
        {
            "data": str(data),
            "generator": {
                "family": "mld",
                "autoencoder": autoencoder,
                "denoiser": denoiser,
                "text": "minilm",
                "text_features": "tokens",
            },
            "autoencoder": {"updates": 30, "batch": 6, "window": 16, "optimiser": {"lr": 3e-3}},
            "denoiser": {"updates": 30, "batch": 6, "validate_every": 10, "optimiser": {"lr": 3e-3}},
            "checkpoint_every": 10,
        }
    )
