"""Checkpoints of HY-Motion 1.0: `latest.ckpt` with `model_state_dict`, `config.yml` beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.hymotion import HyMotion, HyMotionConfig
from motionrft.official.pickles import below, counted, tensors_under, without
from motionrft.official.source import Source, filled, found_in
from motionrft.training.atomic import write_text

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
        null_tokens=bool(found_in(said, "enable_ctxt_null_feat", True)),
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


def companions(generator: HyMotion, folder: Path) -> None:
    """Write `config.yml`: what the shapes do not tell and `read` asks it for."""
    said, network = generator.config.denoiser, generator.denoiser
    options = {
        "mask_mode": None if network.band is None else "narrowband",
        "narrowband_length": 2.0 if network.band is None else network.band / _FPS,
        "apply_rope_to_single_branch": not network.rotate_text,
        "time_factor": network.time_factor,
        "train_frames": network.train_frames,
        "max_length_llm": said.get("text_positions", 128),
        "enable_ctxt_null_feat": generator.config.null_tokens,
    }
    write_text(folder / "config.yml", yaml.safe_dump(options, sort_keys=False))


def _denoiser(tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> dict[str, Any]:
    width, features = tensors["input_encoder.weight"].shape  # (w, F)
    return {
        "features": features,
        "width": width,
        "layers": counted(tensors, "double_blocks.") + counted(tensors, "single_blocks."),
        "heads": width // tensors["double_blocks.0.motion_q_norm.weight"].shape[0],
        "ratio": tensors["double_blocks.0.motion_mlp.fc1.weight"].shape[0] / width,
        "token_width": tensors["ctxt_encoder.weight"].shape[1],
        "sentence_width": tensors["vtxt_encoder.linears.0.weight"].shape[1],
        "band": _band(said),
        "train_frames": found_in(said, "train_frames", 360),
        "text_positions": found_in(said, "max_length_llm", 128),
        "time_factor": float(found_in(said, "time_factor", 1000.0)),
        "rotate_text": not found_in(said, "apply_rope_to_single_branch", False),
    }


def _band(said: Mapping[str, Any]) -> int | None:
    """Frames to either side that motion sees; None: all of them.

    Raises:
        UserError: a mask that no release describes. Another mask would give another motion without a word.
    """
    mode = found_in(said, "mask_mode", "narrowband")
    if mode is None:
        return None
    if mode != "narrowband":
        raise UserError(f"config.yml: mask_mode {mode!r} is not known here; known are narrowband and null.")
    return round(found_in(said, "narrowband_length", 2.0) * _FPS)
