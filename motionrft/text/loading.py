"""A text encoder by its name, behind its cache."""

import os
from pathlib import Path

import torch

from motionrft.registry import TEXT_ENCODERS
from motionrft.text.base import TextEncoder
from motionrft.text.cache import CachedTextEncoder
from motionrft.training.cache_folder import cache_folder

FOLDERS = "MOTIONRFT_TEXT_ENCODERS"
"""Environment variable: a folder with one folder an encoder, each under its name here."""


def load_text_encoder(
    name: str, path: Path | None = None, device: torch.device | str = "cpu", cache: bool = True
) -> TextEncoder:
    """A frozen text encoder behind its cache. Nothing is read before the first text comes.

    Args:
        name: one of `motionrft.registry.TEXT_ENCODERS`.
        path: folder with the encoder's files; None looks below `$MOTIONRFT_TEXT_ENCODERS`, in the hub cache and the
            installed packages.
        cache: keep features on disk, below `cache_folder()`; in memory alone where False.

    Raises:
        UserError: no encoder has that name.
    """
    build = TEXT_ENCODERS.load(name)
    return CachedTextEncoder(build(path or own_folder(name), device), cache_folder() if cache else None)


def own_folder(name: str) -> Path | None:
    """The user's own folder of that encoder below `$MOTIONRFT_TEXT_ENCODERS`, where there is one."""
    root = os.environ.get(FOLDERS)
    folder = Path(root).expanduser() / name if root else None
    return folder if folder is not None and folder.is_dir() else None
