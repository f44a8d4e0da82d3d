"""The text encoders by name: one line each."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.text.base import TextEncoder
from motionrft.text.cache import CachedTextEncoder, cache_folder
from motionrft.text.hymotion import HyMotionText
from motionrft.text.minilm import MiniLM
from motionrft.text.pretrained import CLIP_B32, CLIP_L14, Clip, DistilBert, SentenceT5

ENCODERS: dict[str, Callable[[Path | None, torch.device | str], TextEncoder]] = {
    "minilm": lambda path, device: MiniLM(path, device),
    "clip-b32": lambda path, device: Clip("clip-b32", CLIP_B32, path, device),
    "clip-b32-short": lambda path, device: Clip("clip-b32-short", CLIP_B32, path, device, max_tokens=22),
    "clip-b32-states": lambda path, device: Clip("clip-b32-states", CLIP_B32, path, device, "states"),
    "clip-l14": lambda path, device: Clip("clip-l14", CLIP_L14, path, device, width=768, projected_width=768),
    "sentence-t5-large": lambda path, device: SentenceT5(path, device),
    "distilbert": lambda path, device: DistilBert(path, device),
    "hymotion": lambda path, device: HyMotionText(path, device),
}

FOLDERS = "MOTIONRFT_TEXT_ENCODERS"
"""Environment variable: a folder with one folder an encoder, each under its name here."""


def load_text_encoder(
    name: str, path: Path | None = None, device: torch.device | str = "cpu", cache: bool = True
) -> TextEncoder:
    """A frozen text encoder behind its cache. Nothing is read before the first text comes.

    Args:
        name: a key of `ENCODERS`.
        path: folder with the encoder's files; None looks below `$MOTIONRFT_TEXT_ENCODERS`, in the hub cache and the
            installed packages.
        cache: keep features on disk, below `cache_folder()`; in memory alone where False.

    Raises:
        UserError: no encoder has that name.
    """
    if name not in ENCODERS:
        near = difflib.get_close_matches(name, ENCODERS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"no text encoder is called {name!r}; there are {', '.join(ENCODERS)}.{hint}")
    return CachedTextEncoder(ENCODERS[name](path or _local(name), device), cache_folder() if cache else None)


def _local(name: str) -> Path | None:
    """The user's own folder of that encoder, where there is one."""
    root = os.environ.get(FOLDERS)
    folder = Path(root).expanduser() / name if root else None
    return folder if folder is not None and folder.is_dir() else None
