"""The text encoders by name: one line each."""

import difflib
from collections.abc import Callable
from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.text.base import TextEncoder
from motionrft.text.cache import CachedTextEncoder, cache_folder
from motionrft.text.minilm import MiniLM

ENCODERS: dict[str, Callable[[Path | None, torch.device | str], TextEncoder]] = {
    "minilm": lambda path, device: MiniLM(path, device),
}


def load_text_encoder(
    name: str, path: Path | None = None, device: torch.device | str = "cpu", cache: bool = True
) -> TextEncoder:
    """A frozen text encoder behind its cache. Nothing is read before the first text comes.

    Args:
        name: a key of `ENCODERS`.
        path: folder with the encoder's files; None looks in the hub cache and the installed packages.
        cache: keep features on disk, below `cache_folder()`; in memory alone where False.

    Raises:
        UserError: no encoder has that name.
    """
    if name not in ENCODERS:
        near = difflib.get_close_matches(name, ENCODERS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"no text encoder is called {name!r}; there are {', '.join(ENCODERS)}.{hint}")
    return CachedTextEncoder(ENCODERS[name](path, device), cache_folder() if cache else None)
