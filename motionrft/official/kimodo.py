"""NVIDIA Kimodo's folders: `config.yaml`, `model.safetensors`,
`stats/motion/{global_root,local_root,body}/{mean,std}.npy`.

The configuration names Python classes; they are never looked up, only its numbers are read. Prefix
`denoiser.backbone.` of the tensors, or none (reproductions).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
import yaml
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.kimodo import Kimodo, KimodoConfig, Passes
from motionrft.generators.kimodo_rest import solved_rest
from motionrft.official.pickles import below, counted, read_pickle, tensors_under, without
from motionrft.official.source import Source, filled, found_in
from motionrft.representations.kimodo.features import ROOT, SKELETON_OF
from motionrft.representations.kimodo.skeletons import SMPLX22
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import atomic_file, write_text
from motionrft.training.weights import write_safetensors
from motionrft.transformer import EncoderLayer

FILE = "model.safetensors"
"""What the checkpoint is called in its project; in a folder with `config.yaml`."""
CONFIG = "config.yaml"
_PREFIX = "denoiser.backbone."
_MARK = "root_model.linear_first_heading_angle.weight"
_PARTS = ("global_root", "local_root", "body")
_REST = "joints.p"
_ALIKE = {
    "activation": "gelu",
    "norm_first": False,
    "use_text_mask": False,
    "input_first_heading_angle": True,
    "motion_mask_mode": "concat",
    "fps": 30,
}
"""What every published model says; another value would be another network."""


def is_published_folder(path: Path) -> bool:
    """Whether a folder looks like one of Kimodo's."""
    return (path / CONFIG).is_file() and (path / FILE).is_file()


def recognises(content: Mapping[str, Any]) -> bool:
    return _state_key(content) is not _NOTHING


def read(source: Source) -> Kimodo:
    """Build the generator from the shapes, the numbers of `config.yaml`, and the statistics beside it.

    Raises:
        UserError: something is missing, or says another network than Kimodo's.
    """
    tensors = _tensors(source)
    said = source.arguments(CONFIG)
    if not said:
        raise UserError(
            f"{source.path.parent}: no {CONFIG}; the number of attention heads stands nowhere else."
        )
    place = str(source.path.parent / CONFIG)
    _check_alike(said, place)
    denoiser = _denoiser(tensors, said, place)
    settings: dict[str, Any] = {
        "train_times": _whole(said, "num_base_steps", place),
        "passes": _passes(said, place),
        "text": _text_encoder(source),
        "published": source.path.with_name(CONFIG).read_bytes().decode("utf-8"),
        **source.settings,
    }
    generator = Kimodo(KimodoConfig(denoiser, **settings))
    weights = {f"denoiser.{name}": value for name, value in tensors.items()} | _statistics(source, generator)
    given = _rest_joints(source) if generator.skeleton is SMPLX22 else None
    if given is not None:
        weights["rest_joints"] = given
    generator = filled(generator, weights, source.path)
    if generator.skeleton is SMPLX22 and given is None:
        rest, generator.rest_spread = solved_rest(generator)
        generator.rest_joints.copy_(rest)
    return generator


def write(generator: Kimodo, folder: Path) -> None:
    """Write the published folder of these weights: `config.yaml` as it was read, published keys, statistics."""
    published = generator.config.published or _own_config(generator)
    weights = {f"{_PREFIX}{name}": value for name, value in generator.denoiser.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / FILE) as temporary:
        write_safetensors(temporary, weights)
    write_text(folder / CONFIG, published)
    statistics = generator.statistics
    for name, part in zip(_PARTS, (statistics.root, statistics.local, statistics.body), strict=True):
        place = folder / "stats" / "motion" / name
        place.mkdir(parents=True, exist_ok=True)
        for file, values in (("mean.npy", part.mean), ("std.npy", part.std)):
            with atomic_file(place / file) as temporary, open(temporary, "wb") as stream:
                np.save(stream, values.cpu().numpy())
    if generator.skeleton is SMPLX22:
        with atomic_file(folder / _REST) as temporary:
            torch.save(generator.rest_joints.cpu(), temporary)


_NOTHING = object()


def _state_key(content: Mapping[str, Any]) -> Any:
    """Under which key the tensors are: None where they lie bare, `_NOTHING` where there are none of Kimodo's."""
    for key in (None, "state_dict", "model"):
        state = content if key is None else content.get(key)
        if isinstance(state, Mapping) and (_MARK in state or f"{_PREFIX}{_MARK}" in state):
            return key
    return _NOTHING


def _tensors(source: Source) -> dict[str, Tensor]:
    found = tensors_under(source.content, _state_key(source.content), source.path)
    if f"{_PREFIX}{_MARK}" not in found:
        return found
    if beside := sorted(without(found, _PREFIX)):
        raise UserError(
            f"{source.path}: {beside[0]} lies outside {_PREFIX[:-1]}; Kimodo's files hold "
            "nothing else, and it would be lost on the way back."
        )
    return below(found, _PREFIX)


def _denoiser(tensors: Mapping[str, Tensor], said: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Arguments of the network: from shapes where they tell, and then the configuration has to agree."""
    width, doubled = tensors["root_model.input_linear.weight"].shape  # (w, 2 F): state and mask
    features = doubled // 2
    if features not in SKELETON_OF:
        raise UserError(
            f"{place}: {features} features a frame; known are {', '.join(map(str, SKELETON_OF))}."
        )
    first = "root_model.seqTransEncoder.layers."
    feedforward = tensors[f"{first}0.linear1.weight"].shape[0]  # of (f, w)
    shapes = {"latent_dim": width, "ff_size": feedforward, "num_layers": counted(tensors, first)}
    for name, value in shapes.items():
        if found_in(said, name, value) != value:
            raise UserError(
                f"{place}: {name} is {found_in(said, name, value)!r}, but the weights have {value}."
            )
    return {
        "joints": SKELETON_OF[features].joints,
        "width": width,
        "layers": shapes["num_layers"],
        "heads": _whole(said, "num_heads", place),
        "feedforward": feedforward,
        "text_width": tensors["root_model.embed_text.weight"].shape[1],
        "text_tokens": _whole(said, "num_text_tokens_override", place),
    }


def _statistics(source: Source, generator: Kimodo) -> dict[str, Tensor]:
    """Buffers of the three parts.

    Raises:
        UserError: one is missing, or of another width. They are part of the model: nothing stands in for them.
    """
    base = source.statistics or source.path.parent / "stats" / "motion"
    widths = {"global_root": ROOT, "local_root": len(generator.local_mean), "body": generator.features - ROOT}
    parts = {}
    for name, width in widths.items():
        files = [base / name / f"{kind}.npy" for kind in ("mean", "std")]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise UserError(
                f"{missing[0]}: missing. The normalisation statistics of this model are part of it."
            )
        parts[name] = Statistics.of_files(*files)
        if len(parts[name].mean) != width:
            raise UserError(f"{base / name}: {len(parts[name].mean)} values; this model has {width}.")
    root, body = parts["global_root"], parts["body"]
    return {
        "mean": torch.cat((root.mean, body.mean)),
        "std": torch.cat((root.std, body.std)),
        "local_mean": parts["local_root"].mean,
        "local_std": parts["local_root"].std,
    }


def _rest_joints(source: Source) -> Tensor | None:
    """SMPL-X' rest joints, from the person's own Kimodo: the body model's licence keeps them from us. None where it
    lies elsewhere.
    """
    folder = source.path.parent
    for file in (folder / _REST, folder / "smplx22" / _REST, folder / "skeletons" / "smplx22" / _REST):
        if file.is_file():
            found = read_pickle(file)
            if not isinstance(found, Tensor) or found.shape != (SMPLX22.joints, 3):
                raise UserError(f"{file}: no {SMPLX22.joints} joints of three numbers.")
            return found.float()
    return None


def _text_encoder(source: Source) -> str:
    """v1.1 was trained on text features in float32, everything before on bfloat16; the folder's name tells."""
    return "llm2vec-fp32" if source.path.absolute().parent.name.lower().endswith("v1.1") else "llm2vec"


def _check_alike(said: Mapping[str, Any], place: str) -> None:
    for name, value in _ALIKE.items():
        if found_in(said, name, value) != value:
            raise UserError(
                f"{place}: {name} is {found_in(said, name, value)!r}; only {value!r} is known here."
            )


def _whole(said: Mapping[str, Any], name: str, place: str) -> int:
    """A whole number above 0."""
    value = found_in(said, name, None)
    if type(value) is not int or value < 1:
        what = "missing" if value is None else f"{value!r}; a whole number above 0 is wanted"
        raise UserError(f"{place}: {name} is {what}.")
    return value


def _passes(said: Mapping[str, Any], place: str) -> str:
    value = found_in(said, "cfg_type", "separated")
    if value not in get_args(Passes):
        raise UserError(f"{place}: cfg_type is {value!r}; known are {', '.join(get_args(Passes))}.")
    return str(value)


def _own_config(generator: Kimodo) -> str:
    """The fields of a model that was not read from a published folder; it names no classes to build it with."""
    network = generator.denoiser
    layers = [cast(EncoderLayer, layer) for layer in network.root_model.seqTransEncoder.layers]
    options = {
        "num_base_steps": generator.config.train_times,
        **_ALIKE,
        "nbjoints": network.joints,
        "llm_shape": [1, network.text_width],
        "latent_dim": network.root_model.embed_text.out_features,
        "ff_size": layers[0].linear1.out_features,
        "num_layers": len(layers),
        "num_heads": layers[0].self_attn.heads,
        "num_text_tokens_override": network.text_tokens,
        "cfg_type": generator.config.passes,
    }
    return yaml.safe_dump(options, sort_keys=False)
