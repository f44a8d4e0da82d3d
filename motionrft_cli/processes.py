"""One of several: `torchrun` and `accelerate launch` start this program once a device, and one process speaks for all."""

import os


def speaks() -> bool:
    """Whether this process is the one that prints, checks --out and writes: alone, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def spoken(text: str) -> str:
    """A last word of this process, with its number where it is not the first of several."""
    return text if speaks() else f"process {os.environ['RANK']}: {text}"
