"""Where what is cheaper to read than to make again lies: features of texts, statistics of data sets."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where caches live: `MOTIONRFT_CACHE`, else `~/.cache/motionrft` (honouring `XDG_CACHE_HOME`)."""
    chosen = os.environ.get("MOTIONRFT_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "motionrft"
