"""Checkpoints of MotionGPT and of AToM's tuning of it.

`motiongpt_s3_h3d.tar` is a Lightning pickle with the T5 below `lm.language_model.` and the VQ-VAE below `vae.` or
`motion_vae.`; AToM's `general_finetuned.pt` is the state dict of the T5 alone, with adapters or without.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.layouts import usual_fps
from motionrft.generators.motiongpt import MotionGpt, MotionGptSettings
from motionrft.official.pickles import below, counted, read_checkpoint, tensors_under
from motionrft.official.source import Source, filled
from motionrft.representations.names import KINEMATIC

log = logging.getLogger(__name__)

FILE = "motiongpt_s3_h3d.tar"
"""What the checkpoint is called in its project."""
_LANGUAGE, _VAES, _PEFT = "lm.language_model.", ("vae.", "motion_vae."), "base_model.model."
_REPEATED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Of `shared.weight`."""
_TOKENIZERS = ("flan-t5-base", "deps/flan-t5-base")
_ALPHA = 16
"""Of AToM's adapters; their file does not tell it."""
_FACTOR = re.compile(r"(.*)\.lora_([AB])\.default\.weight")


def recognises(content: Mapping[str, Any]) -> bool:
    state = content.get("state_dict")
    if isinstance(state, Mapping):
        return f"{_LANGUAGE}shared.weight" in state
    return _bare(content) is not None


def _bare(content: Mapping[str, Any]) -> str | None:
    """Prefix of a state dict of the T5 alone, or None where it is none."""
    return next((prefix for prefix in (_PEFT, "") if f"{prefix}shared.weight" in content), None)


def read(source: Source) -> MotionGpt:
    """Build the generator from the shapes; the VQ-VAE of a tuned T5 is that of `motiongpt_s3_h3d.tar` beside it."""
    settings = dict(source.settings)
    alpha = settings.pop("lora_alpha", _ALPHA)
    if "state_dict" in source.content:
        state = tensors_under(source.content, "state_dict", source.path)
        language, vae = below(state, _LANGUAGE), _vae_of(state, source)
        _tell_of_others(state, source)
    else:
        state = tensors_under(source.content, None, source.path)
        language, vae = merged(below(state, _bare(state) or ""), alpha), _vae_beside(source)
    if "shared.weight" not in language:
        raise UserError(f"{source.path}: the T5 has no shared.weight.")
    language = language | dict.fromkeys(_REPEATED, language["shared.weight"])
    sizes = {**_t5_sizes(language), **_vae_sizes(vae)}
    sizes["text_vocab"] = language["shared.weight"].shape[0] - sizes["codes"] - 3
    sizes["sentinels"] = 100 if sizes["text_vocab"] == MotionGptSettings.text_vocab else 0
    if (folder := _tokenizer_beside(source)) is not None:
        settings.setdefault("tokenizer", str(folder))
    fps = usual_fps(KINEMATIC, sizes["features"])
    statistics = source.find_statistics(sizes["features"])
    weights = {f"language_model.{name}": tensor for name, tensor in language.items()}
    weights |= {f"vq.{name}": tensor for name, tensor in vae.items()}
    weights |= {"mean": statistics.mean, "std": statistics.std}
    generator = MotionGpt(MotionGptSettings(**{"fps": fps, **sizes, **settings}))
    return filled(generator, weights, source.path)


def _tokenizer_beside(source: Source) -> Path | None:
    """The folder of flan-T5's tokenizer, where one lies beside the checkpoint."""
    here = source.path.parent.absolute()
    folders = (here, *(here / name for name in _TOKENIZERS))
    return next((folder for folder in folders if (folder / "tokenizer.json").is_file()), None)


def layout(generator: MotionGpt) -> dict[str, Any]:
    """The published container of these weights, adapters merged."""
    names = {"language_model.": _LANGUAGE, "vq.": "vae."}
    return {
        "state_dict": {
            theirs + name.removeprefix(ours): tensor
            for name, tensor in generator.state_dict().items()
            for ours, theirs in names.items()
            if name.startswith(ours)
        }
    }


def merged(state: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Adapted layers with their update: base + alpha / r B A, under plain names."""
    factors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if found := _FACTOR.fullmatch(name):
            factors.setdefault(found[1], {})[found[2]] = tensor
    plain = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in state.items()
        if not _FACTOR.fullmatch(name)
    }
    for layer, pair in factors.items():
        update = pair["B"] @ pair["A"]  # (out, in)
        plain[f"{layer}.weight"] = plain[f"{layer}.weight"] + alpha / pair["A"].shape[0] * update
    return plain


def _vae_of(state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
    found = next((below(state, prefix) for prefix in _VAES if below(state, prefix)), None)
    if found is None:
        raise UserError(f"{source.path}: has no {' or '.join(_VAES)}: the VQ-VAE is missing from it.")
    return found


def _vae_beside(source: Source) -> dict[str, Tensor]:
    """The VQ-VAE of the checkpoint that a tuned language model was tuned from."""
    path = source.path.parent / FILE
    if not path.is_file():
        raise UserError(
            f"{source.path}: a tuned language model without its VQ-VAE. Put MotionGPT's {FILE} beside it."
        )
    return _vae_of(tensors_under(read_checkpoint(path), "state_dict", path), source)


def _tell_of_others(state: Mapping[str, Tensor], source: Source) -> None:
    """Name the modules that are no part of the generator: evaluators, buffers of losses."""
    others = sorted({name.split(".", 1)[0] for name in state if not name.startswith((_LANGUAGE, *_VAES))})
    if others:
        log.warning("%s: also holds %s, which is no part of the generator", source.path, ", ".join(others))


def _t5_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    attention = "encoder.block.0.layer.0.SelfAttention."
    buckets, heads = tensors[f"{attention}relative_attention_bias.weight"].shape  # (buckets, heads)
    return {
        "d_model": tensors["shared.weight"].shape[1],
        "d_kv": tensors[f"{attention}q.weight"].shape[0] // heads,
        "d_ff": tensors["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"].shape[0],
        "num_layers": counted(tensors, "encoder.block."),
        "num_decoder_layers": counted(tensors, "decoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
    }


def _vae_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    width, features, _ = tensors["encoder.model.0.weight"].shape  # (w, F, 3)
    codes, code_width = tensors["quantizer.codebook"].shape  # (K, d)
    return {
        "features": features,
        "codes": codes,
        "code_width": code_width,
        "vq_width": width,
        "vq_depth": counted(tensors, "encoder.model.2.1.model."),
        "down": counted(tensors, "encoder.model.") - 2,
    }
