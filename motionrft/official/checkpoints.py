"""Any published checkpoint into a folder of ours, whatever it turns out to be."""

from pathlib import Path
from typing import Literal

from motionrft.official import generators, rewards
from motionrft.official.pickles import read_checkpoint

Kind = Literal["generator", "reward"]


def convert_any(path: Path, out: Path, family: str | None = None, statistics: Path | None = None) -> Kind:
    """Read a checkpoint and write our folder.

    Args:
        path: a checkpoint file, or a folder with exactly one in it.
        family: a generator's or a reward's, where the keys do not tell.
        statistics: folder of a generator's normalisation statistics; None looks beside the file.

    Returns:
        What it was.

    Raises:
        UserError: unknown, incomplete, or not readable without running code; nothing is written.
    """
    if family not in rewards.READERS:
        file = generators.checkpoint_in(path)
        content = read_checkpoint(file) if family is None else {}
        if family is not None or generators.recognise(content) or not rewards.recognise(content):
            generators.convert_checkpoint(path, out, family, statistics)
            return "generator"
        path = file
    rewards.convert_reward(path, out, family)
    return "reward"
