"""Rewards from anywhere: our folders, and published checkpoints recognised from their keys."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.official import adapters, motionreward, spm
from motionrft.official.pickles import below, counted, read_checkpoint, tensors_under, without
from motionrft.representations.statistics import Statistics
from motionrft.reward import loading
from motionrft.reward.adapters import Judge
from motionrft.reward.base import Learnt, Reward
from motionrft.reward.encoder import MotionRewardNetwork
from motionrft.reward.folder import save_reward, text_encoder
from motionrft.reward.motioncritic import DualStream, MotionCriticNetwork, MotionCriticReward
from motionrft.reward.motionreward import JUDGED_TERMS, MotionReward
from motionrft.reward.tmr import TMRNetwork, TMRReward
from motionrft.training.weights import load_state

SUFFIXES = (".pth", ".pt", ".ckpt", ".tar")
_ADAPTER_FILES = {
    "preference": ("*critic_lora*.pth", "*critic_head*.pth"),
    "authenticity": ("*ai_detection_lora*.pth", "*ai_detection_head*.pth"),
}


def load_reward(
    path: Path | str,
    weights: Mapping[str, float] | None = None,
    representation: str = "kinematic",
    fps: float = 20.0,
    device: torch.device | str = "cpu",
) -> Reward:
    """As `motionrft.reward.loading.load_reward`, published checkpoint files included.

    Statistics (`Mean.npy` …) are looked for beside the file, in `meta/`, or in the folder above.
    """
    if not is_checkpoint(path):
        return loading.load_reward(path, weights, representation, fps, device)
    reward = read_reward(Path(path))
    return loading.weighted(reward, weights, representation, fps).to(device)


def is_checkpoint(path: Path | str) -> bool:
    """Whether a path looks like another project's checkpoint file."""
    return Path(path).is_file() and Path(path).suffix in SUFFIXES


def read_reward(path: Path, family: str | None = None, statistics: Path | None = None) -> Learnt:
    """Read a published checkpoint, strictly: every tensor has its place, or nothing is loaded.

    Args:
        path: a MotionReward backbone (adapters and heads are found beside it), an SPM, TMR, or MotionCritic.
        family: a key of `READERS`; None recognises it.
        statistics: folder of the normalisation statistics; None looks beside the file.

    Raises:
        UserError: not readable without running code, unknown, incomplete, or without statistics.
    """
    content = read_checkpoint(path)
    found = family or recognise(content)
    if found not in READERS:
        keys = ", ".join(map(str, list(content)[:5]))
        raise UserError(
            f"{path}: no reward that is known here (its first keys: {keys}). Known are {', '.join(READERS)}."
        )
    recognises, read = READERS[found]
    if not recognises(content):
        seems = recognise(content)
        raise UserError(f"{path}: not a {found} checkpoint{f'; it looks like {seems}' if seems else ''}.")
    try:
        return read(content, path, statistics)
    except KeyError as missing:
        raise UserError(f"{path}: cannot be read as {found}: it has no {missing}.") from None


def recognise(content: Mapping[str, Any]) -> str | None:
    """The family whose keys a checkpoint holds, or None."""
    return next((name for name, (recognises, _) in READERS.items() if recognises(content)), None)


def convert_reward(
    path: Path, out: Path, family: str | None = None, statistics: Path | None = None
) -> Learnt:
    """Read a published checkpoint and write our folder; returns the reward.

    Raises:
        UserError: as `read_reward`, or a family that has no folder of ours.
    """
    reward = read_reward(path, family, statistics)
    if not isinstance(reward, MotionReward):
        raise UserError(
            f"{path}: only MotionReward and SPM become folders of ours; use this file as --reward FILE."
        )
    card = f"# MotionReward\n\nConverted from `{path.name}`. Licence: that of the original weights.\n"
    save_reward(out, reward, card)
    return reward


def _read_motionreward(content: Mapping[str, Any], path: Path, statistics: Path | None) -> Learnt:
    state = motionreward.backbone_state(tensors_under(content, "state_dict", path))
    size = motionreward.size_of(state, content.get("model_config"))
    network = MotionRewardNetwork(size)
    load_state(network, motionreward.deal_out(state), str(path))
    judges = {
        name: judge
        for name in _ADAPTER_FILES
        if (judge := _read_judge(network, name, path.parent)) is not None
    }
    return _motionreward(network, path, statistics, judges)


def _motionreward(
    network: MotionRewardNetwork, path: Path, statistics: Path | None, judges: dict[str, Judge]
) -> MotionReward:
    size = network.size
    found = {name: _statistics(path, statistics, name) for name in size.representations}
    encoder = text_encoder(motionreward.TEXT_ENCODER, size.text_width)
    reward = MotionReward(network, found, encoder, representation=size.representations[0], judges=judges)
    reward.about = {"stages": ["semantic", *judges], "data": f"converted from {path.name}", "fps": 20.0}
    return reward


def _read_judge(network: MotionRewardNetwork, name: str, folder: Path) -> Judge | None:
    """The adapter and head beside a backbone. The rank is read from the tensors, never from a file's name."""
    lora, head = (_only(folder, pattern) for pattern in _ADAPTER_FILES[name])
    if lora is None:
        return None
    content = read_checkpoint(lora)
    state = tensors_under(content, "lora_state_dict", lora)
    rank = adapters.adapter_rank(state)
    alpha = content.get("lora_alpha")
    if not isinstance(alpha, int | float):
        raise UserError(f"{lora}: has no lora_alpha, so the adapter's scale is unknown.")
    judge = Judge(network.motion, JUDGED_TERMS[name], rank, float(alpha))
    load_state(judge.adapter, adapters.adapter_state(state), str(lora))
    load_state(judge.head, _head_state(content, head, lora), str(head or lora))
    return judge


def _head_state(content: Mapping[str, Any], head: Path | None, lora: Path) -> dict[str, Tensor]:
    if head is None:
        return tensors_under(content, "head_state_dict", lora)
    found = read_checkpoint(head)
    return tensors_under(found, "state_dict" if "state_dict" in found else "head_state_dict", head)


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise UserError(f"{folder}: which one? {names}. Keep one of them beside the backbone.")
    return found[0] if found else None


def _read_spm(content: Mapping[str, Any], path: Path, statistics: Path | None) -> Learnt:
    state = without(tensors_under(content, "state_dict", path), "clip.")
    mode = next((mode for mode in ("M0T0", "M1T0", "M0T1", "M1T1") if mode in path.name), "M0T0")
    size = spm.spm_size(state)
    network = MotionRewardNetwork(replace(size, mode=mode))  # type: ignore[arg-type]
    load_state(network, spm.spm_state(state, size.representations[0]), str(path))
    return _motionreward(network, path, statistics, {})


def _read_tmr(content: Mapping[str, Any], path: Path, statistics: Path | None) -> Learnt:
    state = tensors_under(content, "state_dict", path)
    parts = ("motion_encoder.", "text_encoder.", "motion_decoder.")
    state = {name: value for name, value in state.items() if name.startswith(parts)}
    features = state["motion_encoder.projection.weight"].shape[1]
    latent, text_width = state["text_encoder.projection.weight"].shape
    layers = counted(state, "motion_encoder.seqTransEncoder.layers.")
    feedforward = state["motion_encoder.seqTransEncoder.layers.0.linear1.weight"].shape[0]
    network = TMRNetwork(features, text_width, latent, feedforward, layers)
    tables = {name for name in state if name.endswith("sequence_pos_encoding.pe")}
    load_state(network, {name: value for name, value in state.items() if name not in tables}, str(path))
    found = _statistics(path, statistics, "kinematic")
    return TMRReward(network, found, text_encoder("distilbert", text_width))


def _read_motioncritic(content: Mapping[str, Any], path: Path, statistics: Path | None) -> Learnt:
    state = tensors_under(content, "model_state_dict", path)
    state = below(state, "module.") or state
    width = state["dstran.joints_embed.weight"].shape[0]
    backbone = DualStream(
        width,
        state["dstran.pre_logits.fc.weight"].shape[0],
        counted(state, "dstran.blocks_st."),
        ratio=state["dstran.blocks_st.0.mlp_s.fc1.weight"].shape[0] / width,
        frames=state["dstran.temp_embed"].shape[1],
        joints=state["dstran.pos_embed"].shape[1],
    )
    network = MotionCriticNetwork(backbone, state["mlp.fc1.weight"].shape[0])
    load_state(network, state, str(path))
    return MotionCriticReward(network)


def _statistics(path: Path, named: Path | None, representation: str) -> Statistics:
    folders = [named] if named is not None else [path.parent, path.parent / "meta", path.parent.parent]
    for folder in folders:
        try:
            return Statistics.load(folder, representation)
        except UserError:
            continue
    raise UserError(
        f"{path}: the {representation} statistics it was trained with are missing. Copy HumanML3D's Mean.npy and "
        "Std.npy (Mean_22x3.npy, Mean_135.npy …) beside it."
    )


def _has(key: str, part: str) -> Callable[[Mapping[str, Any]], bool]:
    def recognises(content: Mapping[str, Any]) -> bool:
        state = content.get(key)
        return isinstance(state, Mapping) and any(str(name).removeprefix("module.") == part for name in state)

    return recognises


Reader = Callable[[Mapping[str, Any], Path, Path | None], Learnt]

READERS: dict[str, tuple[Callable[[Mapping[str, Any]], bool], Reader]] = {
    "motionreward": (motionreward.recognises, _read_motionreward),
    "spm": (_has("state_dict", "dist_motion_layer.weight"), _read_spm),
    "tmr": (_has("state_dict", "motion_encoder.tokens"), _read_tmr),
    "motioncritic": (_has("model_state_dict", "dstran.joints_embed.weight"), _read_motioncritic),
}
"""How each family is recognised and read: one line each."""
