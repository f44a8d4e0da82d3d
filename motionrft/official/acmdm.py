"""Checkpoints of ACMDM: `latest.tar` with `ema_acmdm`; the autoencoder's `latest.tar` with `ae` is a file of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.acmdm import Acmdm, AcmdmConfig
from motionrft.official.pickles import counted, read_checkpoint, tensors_under, without, write_checkpoint
from motionrft.official.source import Source, filled
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import atomic_file

MEAN = (0.000163, 0.376632, 0.310191)
STD = (0.514762, 0.610132, 0.871558)
"""Of absolute joints on HumanML3D, as published: they are part of the code there, not of the checkpoint."""

_HEAD_WIDTH = 64  # the published width; no tensor tells the heads otherwise
_MARK = "ACMDMTransformer.0.attn.qkv.weight"
_AUTOENCODERS = (
    "AE_2D_Causal.tar",
    "../AE_2D_Causal/model/latest.tar",
    "../../AE_2D_Causal/model/latest.tar",
)
_POST = ("AE_2D_Causal_Post_Mean.npy", "AE_2D_Causal_Post_Std.npy")

FILE = "latest.tar"
"""What the checkpoint is called in its project."""


def recognises(content: Mapping[str, Any]) -> bool:
    return any(
        isinstance(content.get(key), Mapping) and _MARK in content[key] for key in ("ema_acmdm", "acmdm")
    )


def read(source: Source) -> Acmdm:
    """Build the generator from the shapes: the averaged weights, and the autoencoder found beside them.

    `autoencoder` among the settings names the autoencoder's file where it lies elsewhere.
    """
    settings = dict(source.settings)
    path = _autoencoder_path(source.path, settings.pop("autoencoder", None))
    key = "ema_acmdm" if "ema_acmdm" in source.content else "acmdm"
    tensors = without(tensors_under(source.content, key, source.path), "clip_model.")
    encoder = tensors_under(read_checkpoint(path), "ae", path)
    generator = Acmdm(AcmdmConfig(_autoencoder(encoder), _denoiser(tensors), **settings))
    weights = {f"denoiser.{name}": value for name, value in tensors.items()}
    weights |= {f"ae.{name}": value for name, value in encoder.items()}
    return filled(generator, weights | _statistics(source) | _latent_statistics(path), source.path)


def layout(generator: Acmdm) -> dict[str, Any]:
    """The published container of the network; `companions` writes the autoencoder."""
    weights = generator.denoiser.state_dict()
    return {"acmdm": weights, "ema_acmdm": weights}


def companions(generator: Acmdm, folder: Path) -> None:
    """Write what the published code reads beside the network: the autoencoder and its latents' statistics."""
    write_checkpoint(folder / _AUTOENCODERS[0], {"ae": generator.ae.state_dict()})
    for name, values in zip(_POST, (generator.latent_mean, generator.latent_std), strict=True):
        with atomic_file(folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, values.cpu().numpy())


def _autoencoder_path(path: Path, named: str | Path | None) -> Path:
    places = [Path(named)] if named else [path.parent / name for name in _AUTOENCODERS]
    for place in places:
        if place.is_file():
            return place
    raise UserError(
        f"{path}: its autoencoder is missing. Looked for {', '.join(map(str, places))}. "
        f"Put AE_2D_Causal's latest.tar beside it as {_AUTOENCODERS[0]}."
    )


def _statistics(source: Source) -> dict[str, Tensor]:
    """The user's statistics of joints, (3,), or the published ones."""
    beside = (source.path.parent / "Mean.npy").is_file()
    if source.statistics is None and not beside:
        return {"mean": torch.tensor(MEAN), "std": torch.tensor(STD)}
    found = source.find_statistics(3)
    return {"mean": found.mean, "std": found.std}


def _latent_statistics(autoencoder: Path) -> dict[str, Tensor]:
    for folder in (autoencoder.parent, autoencoder.parent.parent):
        mean, std = (folder / name for name in _POST)
        if mean.is_file() and std.is_file():
            found = Statistics.of_files(mean, std)
            return {"latent_mean": found.mean, "latent_std": found.std}
    raise UserError(f"{autoencoder}: the latents' statistics {' and '.join(_POST)} are missing beside it.")


def _autoencoder(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    down = sum(name.endswith("conv.weight") for name in tensors if name.startswith("decoder.model."))
    blocks = counted({n: v for n, v in tensors.items() if n.endswith("conv1.weight")}, "decoder.model.")
    return {
        "width": tensors["encoder.conv_in.weight"].shape[0],
        "channels": tensors["encoder.conv_out.weight"].shape[0],
        "depth": blocks // down,
        "down": down,
    }


def _denoiser(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    width, channels, _, patch = tensors["x_embedder.weight"].shape  # (w, c, 1, p)
    return {
        "channels": channels,
        "width": width,
        "layers": counted(tensors, "ACMDMTransformer."),
        "heads": width // _HEAD_WIDTH,
        # SwiGLU's hidden width is two thirds of it, rounded down: the middle of what rounds so.
        "feedforward": round((tensors["ACMDMTransformer.0.mlp.w3.weight"].shape[1] + 0.5) * 1.5),
        "text_width": tensors["y_embedder.weight"].shape[1],
        "patch": patch,
    }
