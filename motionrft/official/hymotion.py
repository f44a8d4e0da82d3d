"""Checkpoints of HY-Motion 1.0: `latest.ckpt` with `model_state_dict`, `config.yml` beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from motionrft.generators.hymotion import HyMotion, HyMotionConfig
from motionrft.official.pickles import below, counted, tensors_under, without
from motionrft.official.source import Source, filled

_PREFIX = "motion_transformer."
_NULLS = ("null_vtxt_feat", "null_ctxt_input")
_FPS = 30
_DROPPED = ("special_game_", "body_model.", "text_encoder.")

FILE = "latest.ckpt"
"""What the checkpoint is called in its project."""


def recognises(content: Mapping[str, Any]) -> bool:
    state = content.get("model_state_dict")
    return isinstance(state, Mapping) and f"{_PREFIX}input_encoder.weight" in state


def read(source: Source) -> HyMotion:
    """Build the generator from the shapes, and from `config.yml` what they do not tell.

    The checkpoint's own `mean` and `std` win over files beside it.
    """
    state = without(tensors_under(source.content, "model_state_dict", source.path), *_DROPPED)
    tensors, said = below(state, _PREFIX), source.arguments("config.yml")
    config = HyMotionConfig(
        denoiser=_denoiser(tensors, said),
        null_tokens=bool(_found(said, "enable_ctxt_null_feat", True)),
        **source.settings,
    )
    generator = HyMotion(config)
    others = {name: value for name, value in state.items() if not name.startswith(_PREFIX)}
    if "mean" in others and "std" in others:
        others |= {name: others[name].flatten() for name in ("mean", "std")}
    else:
        statistics = source.find_statistics(generator.features)
        others |= {"mean": statistics.mean, "std": statistics.std}
    weights = {f"denoiser.{name}": value for name, value in tensors.items()}
    return filled(generator, weights | others, source.path)


def layout(generator: HyMotion) -> dict[str, Any]:
    """The published container of these weights."""
    state = {f"{_PREFIX}{name}": value for name, value in generator.denoiser.state_dict().items()}
    own = {name: getattr(generator, name) for name in (*_NULLS, "mean", "std")}
    return {"model_state_dict": state | own}


def _found(options: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    """The value of a field wherever it stands in the nested options."""
    return next(_values(options, name), otherwise)


def _values(options: Any, name: str) -> Iterator[Any]:
    if isinstance(options, Mapping):
        if name in options:
            yield options[name]
        for value in options.values():
            yield from _values(value, name)


def _denoiser(tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> dict[str, Any]:
    width, features = tensors["input_encoder.weight"].shape
    return {
        "features": features,
        "width": width,
        "layers": counted(tensors, "double_blocks.") + counted(tensors, "single_blocks."),
        "heads": width // tensors["double_blocks.0.motion_q_norm.weight"].shape[0],
        "ratio": tensors["double_blocks.0.motion_mlp.fc1.weight"].shape[0] / width,
        "token_width": tensors["ctxt_encoder.weight"].shape[1],
        "sentence_width": tensors["vtxt_encoder.linears.0.weight"].shape[1],
        "band": round(_found(said, "narrowband_length", 2.0) * _FPS),
        "train_frames": _found(said, "train_frames", 360),
        "text_positions": _found(said, "max_length_llm", 128),
    }
