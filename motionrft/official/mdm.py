"""Checkpoints of MDM: `modelNNNNNNNNN.pt` with `args.json` beside it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.mdm import Mdm, MdmConfig
from motionrft.official.pickles import counted, tensors_under, without
from motionrft.official.source import Source, filled, settings_for

_MARK = "input_process.poseEmbedding.weight"
_TABLES = ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe")
_HEADS = 4  # in every published model; no tensor tells
_FRAMES = 5000  # rows of the position table in releases that do not store it

FILE = "model000000000.pt"
"""What the checkpoint is called in its project."""


def recognises(content: Mapping[str, Any]) -> bool:
    return _MARK in content or (isinstance(content.get("model"), Mapping) and _MARK in content["model"])


def read(source: Source) -> Mdm:
    """Build the generator from the shapes and `args.json`, whose missing fields mean the first release's
    defaults.

    Raises:
        UserError: an option that no released text-to-motion model uses.
    """
    said = source.arguments()
    _check(said, source)
    tensors = without(_weights(source, said), "clip_model.")
    positions = next((tensors[name].shape[0] for name in _TABLES if name in tensors), _FRAMES)
    tensors = without(tensors, *_TABLES)
    tokens = said.get("text_encoder_type", "clip") == "bert"
    settings = settings_for(
        source,
        tensors[_MARK].shape[1],
        text="distilbert" if tokens else "clip-b32-short",
        text_features="tokens" if tokens else "pooled",
        train_times=said.get("diffusion_steps", 1000),
        small_variance=said.get("sigma_small", True),
    )
    config = MdmConfig(denoiser=_denoiser(tensors, said, positions), **settings)
    generator = Mdm(config)
    statistics = source.find_statistics(generator.features)
    weights = {f"denoiser.{name}": value for name, value in tensors.items()}
    return filled(generator, weights | {"mean": statistics.mean, "std": statistics.std}, source.path)


def layout(generator: Mdm) -> dict[str, Any]:
    """The published container: a bare dictionary, with the two position tables its loader expects."""
    table = generator.denoiser.table[:, None].cpu()
    weights = generator.denoiser.state_dict()
    return weights | dict.fromkeys(_TABLES, table)


def options(generator: Mdm) -> dict[str, Any]:
    """What `args.json` says of the model: nothing else tells these."""
    denoiser = generator.config.denoiser
    return {
        "arch": "trans_dec" if denoiser.get("architecture") == "decoder" else "trans_enc",
        "emb_trans_dec": denoiser.get("time_in_sequence", False),
        "mask_frames": denoiser.get("mask_frames", False),
        "text_encoder_type": "bert" if generator.config.text_features == "tokens" else "clip",
        "diffusion_steps": generator.config.train_times,
        "sigma_small": generator.config.small_variance,
        "noise_schedule": "cosine",
        "use_ema": False,
    }


def _check(said: Mapping[str, Any], source: Source) -> None:
    if said.get("noise_schedule", "cosine") != "cosine":
        raise UserError(
            f"{source.path}: noise schedule {said['noise_schedule']!r}; MDM was released with cosine."
        )
    for name in ("pred_len", "context_len", "multi_target_cond"):
        if said.get(name):
            raise UserError(f"{source.path}: a diffusion-planner variant ({name}), which is not supported.")


def _weights(source: Source, said: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict itself, or the averaged one of a run with EMA that asks for it."""
    if _MARK in source.content:
        return tensors_under(source.content, None, source.path)
    averaged = said.get("use_ema", False) and "model_avg" in source.content
    return tensors_under(source.content, "model_avg" if averaged else "model", source.path)


def _denoiser(tensors: Mapping[str, Tensor], said: Mapping[str, Any], positions: int) -> dict[str, Any]:
    decoder = any(name.startswith("seqTransDecoder.") for name in tensors)
    stack = "seqTransDecoder.layers." if decoder else "seqTransEncoder.layers."
    width, features = tensors[_MARK].shape  # (w, F)
    return {
        "features": features,
        "width": width,
        "layers": counted(tensors, stack),
        "heads": _HEADS,
        "feedforward": tensors[f"{stack}0.linear1.weight"].shape[0],
        "text_width": tensors["embed_text.weight"].shape[1],
        "architecture": "decoder" if decoder else "encoder",
        "time_in_sequence": bool(said.get("emb_trans_dec", False)),
        "mask_frames": bool(said.get("mask_frames", False)),
        "positions": positions,
    }
