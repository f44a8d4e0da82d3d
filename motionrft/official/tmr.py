"""Published TMR: Lightning's `last.ckpt`, or `last_weights/` with one file a network. Names and shapes only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.official.pickles import counted, read_checkpoint, read_pickle, tensors_under
from motionrft.representations.statistics import Statistics
from motionrft.reward.tmr import TMRSize

TEXT_ENCODER = "distilbert"
PARTS = ("motion_encoder", "text_encoder", "motion_decoder")


def is_weights_folder(path: Path) -> bool:
    """Whether a path looks like `last_weights/`."""
    return (path / f"{PARTS[0]}.pt").is_file()


def read_weights_folder(folder: Path) -> dict[str, Any]:
    """`last_weights/` as `last.ckpt` would hold it; raises `UserError` as `read_checkpoint`."""
    state: dict[str, Tensor] = {}
    for part in PARTS:
        file = folder / f"{part}.pt"
        tensors = tensors_under(read_checkpoint(file), None, file)
        state |= {f"{part}.{name}": value for name, value in tensors.items()}
    return {"state_dict": state}


def tmr_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The three networks' tensors, under their published names; position tables are computed here."""
    own = tuple(f"{part}." for part in PARTS)
    return {
        name: value
        for name, value in state.items()
        if name.startswith(own) and not name.endswith("sequence_pos_encoding.pe")
    }


def tmr_size(state: Mapping[str, Tensor]) -> TMRSize:
    """The size, from the tensors; the number of heads cannot be seen in them and is the published one."""
    latent, text_width = state["text_encoder.projection.weight"].shape  # (d, w)
    return TMRSize(
        features=state["motion_encoder.projection.weight"].shape[1],
        text_width=text_width,
        latent=latent,
        feedforward=state["motion_encoder.seqTransEncoder.layers.0.linear1.weight"].shape[0],
        layers=counted(state, "motion_encoder.seqTransEncoder.layers."),
    )


def read_statistics(folder: Path) -> Statistics | None:
    """TMR's own `mean.pt` and `std.pt` (`stats/humanml3d/guoh3dfeats/`), or None where they do not lie.

    Raises:
        UserError: one of them holds no tensor, or needs code to be read.
    """
    files = [folder / "mean.pt", folder / "std.pt"]
    if not all(file.is_file() for file in files):
        return None
    tensors = [read_pickle(file) for file in files]
    for file, found in zip(files, tensors, strict=True):
        if not isinstance(found, Tensor):
            raise UserError(f"{file}: holds a {type(found).__name__}; a statistic is a tensor.")
    mean, std = (found.float().flatten() for found in tensors)
    return Statistics(mean, std)
