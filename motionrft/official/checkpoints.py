"""Any published checkpoint into a folder of ours, whatever it turns out to be."""

from pathlib import Path
from typing import Literal

from motionrft.errors import UserError
from motionrft.official import generators, rewards, tmr

Kind = Literal["generator", "reward"]


def convert_any(
    path: Path,
    out: Path,
    family: str | None = None,
    statistics: Path | None = None,
    critic_window: int | None = None,
    rank: int | None = None,
) -> Kind:
    """Read a checkpoint and write our folder.

    Args:
        path: a checkpoint file, a folder with exactly one in it, or TMR's `last_weights/`.
        family: a generator's or a reward's, where the keys do not tell.
        statistics: folder of the normalisation statistics; None looks beside the file.
        critic_window: see `rewards.convert_reward`.
        rank: of a reward's adapters, where several lie beside its backbone.

    Returns:
        What it was.

    Raises:
        UserError: unknown, incomplete, or not readable without running code; nothing is written.
    """
    file = path if tmr.is_weights_folder(path) else generators.checkpoint_in(path)
    if _is_reward(file, family):
        beside = rewards.Beside(statistics, rank=rank)
        rewards.convert_reward(file, out, family, beside, critic_window)
        return "reward"
    if critic_window is not None:
        raise UserError(f"critic_window = {critic_window}: {file} is no reward.")
    generators.convert_checkpoint(file, out, family, statistics)
    return "generator"


def _is_reward(file: Path, family: str | None) -> bool:
    if family is not None:
        return family in rewards.READERS
    content = rewards.read_content(file)
    return generators.recognise(content) is None and rewards.recognise(content) is not None
