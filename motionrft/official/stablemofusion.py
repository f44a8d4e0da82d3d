"""Checkpoints of StableMoFusion: `latest.tar` with `model_ema` (or `encoder`), `meta/` beside it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from motionrft.generators.mdm_denoiser import interleaved_sinusoids
from motionrft.generators.stablemofusion import StableMoFusion, StableMoFusionConfig
from motionrft.official.pickles import counted, tensors_under, without
from motionrft.official.renaming import Renaming
from motionrft.official.source import Source, filled, settings_for

_TEXT_HEADS = 4  # in every published model; no tensor tells
_TABLE = "unet.time_mlp.0.pe"
_TIMES = 5000
_MARK = "unet.final_conv.weight"
NAMES = Renaming(
    {
        "embed_text.": "text_layers.embed.",
        "textTransEncoder.": "text_layers.stack.",
        "text_ln.": "text_layers.norm.",
        "unet.": "denoiser.",
    },
    others="unknown.",
)


def ours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names to ours, without the constant time table."""
    return NAMES.ours(without(tensors, _TABLE))


FILE = "latest.tar"
"""What the checkpoint is called in its project."""


def recognises(content: Mapping[str, Any]) -> bool:
    return _container(content) is not None


def read(source: Source) -> StableMoFusion:
    """Build the generator from the shapes; the averaged weights where there are any."""
    key = _container(source.content)
    tensors = tensors_under(source.content, key, source.path)
    tensors = {name.removeprefix("module."): v for name, v in tensors.items() if name != "n_averaged"}
    tensors = without(tensors, "clip_model.")
    settings = settings_for(source, tensors[_MARK].shape[0])
    config = StableMoFusionConfig(_denoiser(tensors), _text_layers(tensors), **settings)
    generator = StableMoFusion(config)
    statistics = source.find_statistics(generator.features)
    weights = ours(tensors) | {"mean": statistics.mean, "std": statistics.std}
    return filled(generator, weights, source.path)


def layout(generator: StableMoFusion) -> dict[str, Any]:
    """The published container of these weights, with the time table its loader expects."""
    weights = NAMES.theirs(generator.state_dict())
    width = weights["unet.time_mlp.1.weight"].shape[1]
    return {"model_ema": weights | {_TABLE: interleaved_sinusoids(_TIMES, width)}}


def _container(content: Mapping[str, Any]) -> str | None:
    for key in ("model_ema", "encoder"):
        state = content.get(key)
        if isinstance(state, Mapping) and any(mark in state for mark in (_MARK, f"module.{_MARK}")):
            return key
    return None


def _denoiser(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    levels = counted(tensors, "unet.downs.")
    return {
        "features": tensors[_MARK].shape[0],
        "widths": [tensors[f"unet.downs.{level}.2.conv.weight"].shape[0] for level in range(levels)],
        "time_width": tensors["unet.time_mlp.1.weight"].shape[1],
        "text_width": tensors["embed_text.weight"].shape[0],
    }


def _text_layers(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "clip_width": tensors["embed_text.weight"].shape[1],
        "width": tensors["embed_text.weight"].shape[0],
        "layers": counted(tensors, "textTransEncoder.layers."),
        "heads": _TEXT_HEADS,
        "feedforward": tensors["textTransEncoder.layers.0.linear1.weight"].shape[0],
    }
