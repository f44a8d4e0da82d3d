"""Checkpoints of MLD, MLD++ and MotionLCM: `state_dict` with `vae.*` and `denoiser.*`."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.mld import Mld, MldConfig
from motionrft.official.pickles import below, counted, tensors_under, without
from motionrft.official.source import Source, filled, settings_for

_DROPPED = (
    "text_encoder.",  # frozen, loaded by name
    "t2m_textencoder.",  # the standard evaluators, which evaluation reads from their own files
    "t2m_moveencoder.",
    "t2m_motionencoder.",
    "denoiser.mem_pos.",  # of an architecture the released weights do not use
)
_HEADS = 4  # in every published model; no tensor tells

FILE = "mld_humanml.ckpt"
"""What the checkpoint is called in its project."""


def recognises(content: Mapping[str, Any]) -> bool:
    state = content.get("state_dict")
    return isinstance(state, Mapping) and "denoiser.time_embedding.linear_1.weight" in state


def read(source: Source) -> Mld:
    """Build the generator that the shapes describe.

    v1 is told from v2 by `denoiser.latent_pre`; with it go relu before the text projection (v1 has it) and
    the published sampler settings. The original MLD, which reads CLIP instead of sentence-T5, is told by
    `mem_pos`.
    """
    state = tensors_under(source.content, "state_dict", source.path)
    tensors = without(state, *_DROPPED)
    for prefix in ("controlnet.", "traj_encoder."):
        if below(tensors, prefix):
            raise UserError(f"{source.path}: has ControlNet weights ({prefix}*), which are not supported.")
    if "vae.global_motion_token" not in tensors:
        raise UserError(f"{source.path}: no vae.*: the motion autoencoder is missing from this checkpoint.")
    features = tensors["vae.skel_embedding.weight"].shape[1]
    text = "clip-l14" if below(state, "denoiser.mem_pos.") else "sentence-t5-large"
    settings = settings_for(source, features, text=text, **_sampling(tensors))
    config = MldConfig(autoencoder=_vae(tensors), denoiser=_denoiser(tensors), **settings)
    statistics = source.find_statistics(features)
    return filled(Mld(config), tensors | {"mean": statistics.mean, "std": statistics.std}, source.path)


def layout(generator: Mld) -> dict[str, Any]:
    """The published container of these weights.

    Raises:
        UserError: another autoencoder or text path than the published ones: nobody else could read it.
    """
    kind, path = generator.config.autoencoder["kind"], generator.config.denoiser.get("text_path", "relu")
    if kind != "transformer" or path not in ("relu", "linear"):
        raise UserError(
            f"a generator with a {kind} autoencoder and text path {path!r} has no official format."
        )
    tensors = generator.state_dict()
    return {
        "state_dict": {
            name: value for name, value in tensors.items() if name.startswith(("vae.", "denoiser."))
        }
    }


def _sampling(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Published sampler settings of the variant."""
    if "denoiser.time_embedding.cond_proj.weight" not in tensors:
        return {}
    if "denoiser.latent_pre.weight" in tensors:
        return {"sampler": "lcm", "lcm_times": "fixed", "steps": 4, "guidance": 13.5}
    return {"sampler": "lcm", "lcm_times": "spread", "steps": 4, "guidance": 7.5}


def _vae(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    tokens, hidden = tensors["vae.global_motion_token"].shape  # (2 tokens, h): means and deviations
    projection = tensors.get("vae.latent_pre.weight")  # (w, h)
    return {
        "kind": "transformer",
        "features": tensors["vae.skel_embedding.weight"].shape[1],
        "tokens": tokens // 2,
        "hidden": hidden,
        "width": None if projection is None else projection.shape[0],
        "layers": 2 * counted(tensors, "vae.encoder.input_blocks.") + 1,
        "heads": _HEADS,
        "feedforward": tensors["vae.encoder.middle_block.linear1.weight"].shape[0],
        "positions": tensors["vae.query_pos_encoder.pe"].shape[0],
    }


def _denoiser(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    hidden, text_width = tensors["denoiser.emb_proj.1.weight"].shape  # (h, w)
    projection = tensors.get("denoiser.latent_pre.weight")
    guidance = tensors.get("denoiser.time_embedding.cond_proj.weight")
    return {
        "latent_width": hidden if projection is None else projection.shape[1],
        "hidden": hidden,
        "project": projection is not None,
        "layers": 2 * counted(tensors, "denoiser.encoder.input_blocks.") + 1,
        "heads": _HEADS,
        "feedforward": tensors["denoiser.encoder.middle_block.linear1.weight"].shape[0],
        "text_width": text_width,
        "time_width": tensors["denoiser.time_embedding.linear_1.weight"].shape[1],
        "text_path": "relu" if projection is None else "linear",
        "guidance_width": None if guidance is None else guidance.shape[1],
        "positions": tensors["denoiser.query_pos.pe"].shape[0],
    }
