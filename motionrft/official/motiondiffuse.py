"""Checkpoints of MotionDiffuse: `latest.tar` with `encoder`, `opt.txt` and `meta/` beside it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from motionrft.generators.motiondiffuse import MotionDiffuse, MotionDiffuseConfig
from motionrft.official.pickles import counted, tensors_under, without
from motionrft.official.renaming import Renaming
from motionrft.official.source import Source, filled, settings_for

_HEADS, _TEXT_HEADS = 8, 4  # in every published model; no tensor tells
NAMES = Renaming(
    {
        "text_pre_proj.": "text_layers.embed.",
        "textTransEncoder.": "text_layers.stack.",
        "text_ln.": "text_layers.norm.",
        "text_proj.0.": "text_layers.pooled.",
    },
    others="denoiser.",
)
ours = NAMES.ours

FILE = "latest.tar"
"""What the checkpoint is called in its project."""


def recognises(content: Mapping[str, Any]) -> bool:
    state = content.get("encoder")
    return isinstance(state, Mapping) and "sequence_embedding" in state


def read(source: Source) -> MotionDiffuse:
    """Build the generator from the shapes. The mean and std are those of `meta/`: their root terms may be biased."""
    tensors = without(tensors_under(source.content, "encoder", source.path), "clip.", "clip_model.")
    denoiser, texts = _denoiser(tensors), _text_layers(tensors)
    settings = settings_for(source, denoiser["features"])
    generator = MotionDiffuse(MotionDiffuseConfig(denoiser, texts, **settings))
    statistics = source.find_statistics(generator.features)
    weights = ours(tensors) | {"mean": statistics.mean, "std": statistics.std}
    return filled(generator, weights, source.path)


def layout(generator: MotionDiffuse) -> dict[str, Any]:
    """The published container of these weights."""
    return {"encoder": NAMES.theirs(generator.state_dict())}


def _denoiser(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    block = "temporal_decoder_blocks."
    frames, width = tensors["sequence_embedding"].shape  # (T, w)
    return {
        "features": tensors["joint_embed.weight"].shape[1],
        "frames": frames,
        "width": width,
        "layers": counted(tensors, block),
        "heads": _HEADS,
        "feedforward": tensors[f"{block}0.ffn.linear1.weight"].shape[0],
        "text_width": tensors["text_ln.weight"].shape[0],
    }


def _text_layers(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "clip_width": tensors["text_pre_proj.weight"].shape[1],
        "width": tensors["text_pre_proj.weight"].shape[0],
        "layers": counted(tensors, "textTransEncoder.layers."),
        "heads": _TEXT_HEADS,
        "feedforward": tensors["textTransEncoder.layers.0.linear1.weight"].shape[0],
        "pooled_width": tensors["text_proj.0.weight"].shape[0],
    }
