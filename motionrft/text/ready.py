"""Text features that somebody else has made, from a file: for whoever cannot, or may not, run the encoder.

`FILE.safetensors`: one tensor a prompt, its name the prompt. `FILE.npy`: (N, D), row by row the lines of `FILE.txt`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from motionrft.errors import UserError
from motionrft.parsing import filled_lines, parsing
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.training.fingerprints import path_hash

_NAMED = 3
"""Prompts that a message names; the others are counted."""


class ReadyFeatures(TextEncoder):
    """One vector (B, 1, D) a prompt, from a file, in place of an encoder that makes one; of an empty prompt zeros.

    Prompts are compared after cleaning: the file may hold them either way.

    Args:
        encoder: the one whose features these are: its name, its width and its way of cleaning.

    Raises:
        UserError: unreadable, or its vectors have another width.
    """

    pooled_width = None
    fixed_tokens = 1

    def __init__(self, path: Path, encoder: TextEncoder):
        self.path, self._encoder = path, encoder
        self.name, self.width = encoder.name, encoder.width
        self._rows = _read(path, encoder.width)
        self._rows = {encoder.cleaned(text): row for text, row in self._rows.items()}
        self.identity = f"{encoder.name}-file-{path_hash(path)[:16]}"

    def cleaned(self, text: str) -> str:
        return self._encoder.cleaned(text)

    def unknown(self, texts: Iterable[str]) -> list[str]:
        return []

    def check(self, texts: Sequence[str]) -> None:
        missing = list(dict.fromkeys(t for t in map(self.cleaned, texts) if t and t not in self._rows))
        if missing:
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            raise UserError(
                f"{self.path}: no features of {', '.join(map(repr, missing[:_NAMED]))}{more} "
                f"({len(self._rows)} prompts are there). Add them, or leave these prompts out."
            )

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        self.check(texts)
        zeros = torch.zeros(self.width)
        rows = [self._rows.get(self.cleaned(text), zeros) for text in texts]
        return TextFeatures(torch.stack(rows)[:, None], torch.ones(len(rows), 1, dtype=torch.bool))


def _read(path: Path, width: int) -> dict[str, Tensor]:
    """Prompt to vector (D,), float32."""
    with parsing(path, "text features") as place:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as stored:
                found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        elif path.suffix == ".npy":
            found = _rows(path)
        else:
            place.fail("text features lie in a .safetensors, or in a .npy beside a .txt of prompts.")
        if not found:
            place.fail("holds no features.")
        for text, row in found.items():
            if row.numel() != width or not row.is_floating_point() or not torch.isfinite(row).all():
                place.fail(
                    f"{text!r} has not {width} finite numbers but a tensor {tuple(row.shape)} {row.dtype}."
                )
        return {text: row.float().reshape(width) for text, row in found.items()}


def _rows(path: Path) -> dict[str, Tensor]:
    prompts = path.with_suffix(".txt")
    texts = [line for _, line in filled_lines(prompts)]
    table = torch.from_numpy(np.load(path, allow_pickle=False))
    if table.dim() != 2 or len(table) != len(texts):
        raise UserError(
            f"{path}: a table {tuple(table.shape)}, but {prompts} has {len(texts)} prompts: one a row."
        )
    return dict(zip(texts, table, strict=True))
