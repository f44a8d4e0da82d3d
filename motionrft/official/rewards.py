"""Rewards from anywhere: our folders, and published checkpoints recognised from their keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.layouts import usual_fps
from motionrft.official import adapters, motionreward, pickles, spm, tmr
from motionrft.official.motioncritic import motioncritic_size, motioncritic_state
from motionrft.official.pickles import read_checkpoint, tensors_under, without
from motionrft.parsing import parsing, reads
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import Learnt
from motionrft.reward.folder import save_reward, text_encoder
from motionrft.reward.motioncritic import MotionCriticNetwork, MotionCriticReward
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import (
    CRITIC_OUTPUTS,
    PUBLISHED_NOISE_STEPS,
    MotionReward,
)
from motionrft.reward.tmr import TMRNetwork, TMRReward
from motionrft.skeleton import SMPL22
from motionrft.training.weights import load_state

SUFFIXES = (".pth", ".pt", ".ckpt", ".tar")
_ADAPTER_FILES = {
    "preference": ("*critic_lora*.pth", "*critic_head*.pth"),
    "authenticity": ("*ai_detection_lora*.pth", "*ai_detection_head*.pth"),
}


def is_checkpoint(path: Path | str) -> bool:
    """Whether a path looks like another project's checkpoint: a file, or TMR's folder of weights."""
    path = Path(path)
    return path.suffix in SUFFIXES if path.is_file() else tmr.is_weights_folder(path)


def read_content(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, whatever its container; raises `UserError` as `pickles.read_content`."""
    return tmr.read_weights_folder(path) if tmr.is_weights_folder(path) else pickles.read_content(path)


@dataclass(frozen=True)
class Beside:
    """What is read besides a checkpoint.

    statistics: folder of the normalisation statistics; None looks beside the file, in `meta/`, in the folder above, and
        then in `data`, a data set's folder.
    rank: of the adapters, where several lie beside a backbone; None takes the only ones.
    """

    statistics: Path | None = None
    data: Path | None = None
    rank: int | None = None


NOTHING_SAID = Beside()


@reads("a reward that is known here")
def read_reward(path: Path, family: str | None = None, beside: Beside = NOTHING_SAID) -> Learnt:
    """Read a published checkpoint, strictly: every tensor has its place, or nothing is loaded.

    Args:
        path: a MotionReward backbone (adapters and heads are found beside it), an SPM, TMR (also `last_weights/`),
            or MotionCritic.
        family: a key of `READERS`; None recognises it.
        beside: where its statistics are, and which adapters are meant.

    Raises:
        UserError: not readable without running code, unknown, incomplete, or without statistics.
    """
    content = read_content(path)
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
    with parsing(path, f"a {found} checkpoint: tensors are missing or have other shapes"):
        return read(content, path, beside)


def recognise(content: Mapping[str, Any]) -> str | None:
    """The family whose keys a checkpoint holds, or None."""
    return next((name for name, (recognises, _) in READERS.items() if recognises(content)), None)


def convert_reward(
    path: Path,
    out: Path,
    family: str | None = None,
    beside: Beside = NOTHING_SAID,
    critic_window: int | None = None,
) -> Learnt:
    """Read a published checkpoint and write our folder, whole or not at all; returns the reward.

    Args:
        critic_window: `MotionReward.critic_window` to write into the folder; None leaves true lengths.

    Raises:
        UserError: as `read_reward`, or a window for a reward without a preference critic.
    """
    reward = read_reward(path, family, beside)
    if critic_window is not None:
        _set_critic_window(reward, critic_window, path)
    save_reward(out, reward, card_of(reward, path))
    return reward


def card_of(reward: Learnt, path: Path) -> str:
    """The card of a converted reward: what it is, where it came from, and that its licence came along."""
    text = reward.text_encoder.name if isinstance(reward, MotionReward | TMRReward) else "none"
    window = (
        f"- critic window: {reward.critic_window} frames\n" if getattr(reward, "critic_window", None) else ""
    )
    return (
        f"# {reward.family}, converted from {path.name}\n\n"
        f"- terms: {', '.join(reward.terms)}\n"
        f"- text encoder: {text}\n"
        f"{window}"
        f"- {sum(p.numel() for p in reward.parameters()):,} parameters\n\n"
        "The weights keep the licence of the project they come from.\n"
    )


def _set_critic_window(reward: Learnt, frames: int, path: Path) -> None:
    if not isinstance(reward, MotionReward) or "preference" not in reward.terms:
        raise UserError(f"critic_window = {frames}: {path} has no preference critic that it could be for.")
    if frames > reward.max_frames:
        raise UserError(f"critic_window = {frames}: {path} reads at most {reward.max_frames} frames.")
    reward.critic_window = frames


def _read_motionreward(content: Mapping[str, Any], path: Path, beside: Beside) -> Learnt:
    state = motionreward.backbone_state(tensors_under(content, "state_dict", path))
    size = motionreward.size_of(state, content.get("model_config"))
    network = MotionRewardNetwork(size)
    load_state(network, motionreward.deal_out(state), str(path))
    critics = {
        name: critic
        for name in _ADAPTER_FILES
        if (critic := _read_critic(network, name, path.parent, beside.rank)) is not None
    }
    return _motionreward(network, path, beside, critics)


def _motionreward(
    network: MotionRewardNetwork, path: Path, beside: Beside, critics: dict[str, Critic]
) -> MotionReward:
    size = network.size
    found = {name: _statistics(path, beside, name, size.feature_width(name)) for name in size.representations}
    encoder = text_encoder(motionreward.TEXT_ENCODER, size.text_width)
    reward = MotionReward(network, found, encoder, representation=size.representations[0], critics=critics)
    fps = usual_fps("kinematic", reward.kinematic_width or SMPL22.features)
    reward.noise_steps = None if size.mode == "M0T0" else PUBLISHED_NOISE_STEPS
    reward.about = {"stages": ["semantic", *critics], "data": f"converted from {path.name}", "fps": fps}
    return reward


def _read_critic(network: MotionRewardNetwork, name: str, folder: Path, wanted: int | None) -> Critic | None:
    """The adapter and head beside a backbone. The rank is read from the tensors, never from a file's name."""
    adapter_files, head_files = _ADAPTER_FILES[name]
    lora = _of_rank(sorted(folder.glob(adapter_files)), wanted)
    if lora is None:
        return None
    head = _head_of(lora, sorted(folder.glob(head_files)))
    content = read_checkpoint(lora)
    state = tensors_under(content, "lora_state_dict", lora)
    rank = adapters.adapter_rank(state)
    alpha = content.get("lora_alpha")
    if not isinstance(alpha, int | float):
        raise UserError(f"{lora}: has no lora_alpha, so the adapter's scale is unknown.")
    critic = Critic(network.motion, CRITIC_OUTPUTS[name], rank, float(alpha))
    load_state(critic.adapter, adapters.adapter_state(state), str(lora))
    load_state(critic.head, _head_state(content, head, lora), str(head or lora))
    return critic


def _head_state(content: Mapping[str, Any], head: Path | None, lora: Path) -> dict[str, Tensor]:
    if head is None:
        return tensors_under(content, "head_state_dict", lora)
    found = read_checkpoint(head)
    return tensors_under(found, "state_dict" if "state_dict" in found else "head_state_dict", head)


def _of_rank(files: list[Path], wanted: int | None) -> Path | None:
    """The adapter file of that rank; where there is one file, it may be left open."""
    if not files:
        return None
    if wanted is None and len(files) == 1:
        return files[0]
    ranks = {
        file: adapters.adapter_rank(tensors_under(read_checkpoint(file), "lora_state_dict", file))
        for file in files
    }
    found = [file for file, rank in ranks.items() if rank == wanted]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{file.name} (rank {rank})" for file, rank in ranks.items())
    if found or wanted is None:
        raise UserError(
            f"{files[0].parent}: which adapters? {there}. Name a rank (reward_rank in finetune and refine-spl, base_rank "
            "in train-reward, rank in convert), or keep one of them beside the backbone."
        )
    raise UserError(f"{files[0].parent}: no adapters of rank {wanted} there, but {there}.")


def _head_of(lora: Path, heads: list[Path]) -> Path | None:
    """The head that belongs to an adapter: the only one, or the one whose name differs in that word alone."""
    if len(heads) < 2:
        return heads[0] if heads else None
    twin = lora.with_name(lora.name.replace("_lora", "_head"))
    if twin in heads:
        return twin
    names = ", ".join(file.name for file in heads)
    raise UserError(f"{lora}: which head belongs to it? {names}. Call it {twin.name}.")


def _read_spm(content: Mapping[str, Any], path: Path, beside: Beside) -> Learnt:
    state = without(tensors_under(content, "state_dict", path), "clip.")
    mode = next((mode for mode in ("M0T0", "M1T0", "M0T1", "M1T1") if mode in path.name), "M0T0")
    size = spm.spm_size(state)
    network = MotionRewardNetwork(replace(size, mode=mode))  # type: ignore[arg-type]
    load_state(network, spm.spm_state(state, size.representations[0]), str(path))
    return _motionreward(network, path, beside, {})


def _read_tmr(content: Mapping[str, Any], path: Path, beside: Beside) -> Learnt:
    state = tmr.tmr_state(tensors_under(content, "state_dict", path))
    size = tmr.tmr_size(state)
    network = TMRNetwork(size)
    load_state(network, state, str(path))
    found = _statistics(path, beside, "kinematic", size.features)
    return TMRReward(network, found, text_encoder(tmr.TEXT_ENCODER, size.text_width))


def _read_motioncritic(content: Mapping[str, Any], path: Path, beside: Beside) -> Learnt:
    state = motioncritic_state(tensors_under(content, "model_state_dict", path))
    network = MotionCriticNetwork(motioncritic_size(state))
    load_state(network, state, str(path))
    return MotionCriticReward(network)


def _statistics(path: Path, beside: Beside, representation: str, width: int) -> Statistics:
    here = path if path.is_dir() else path.parent
    searched = [here, here / "meta", here.parent, *([] if beside.data is None else [beside.data])]
    for folder in searched if beside.statistics is None else [beside.statistics]:
        if (found := _statistics_in(folder, representation)) is not None:
            if len(found.mean) not in ((3, width) if representation == "joints" else (width,)):
                raise UserError(
                    f"{folder}: statistics of {len(found.mean)} features, but {path} has {width}."
                )
            return found
    raise UserError(
        f"{path}: the {representation} statistics it was trained with are missing. Copy HumanML3D's Mean.npy and "
        "Std.npy (Mean_22x3.npy, Mean_135.npy …; TMR's mean.pt and std.pt) beside it, or name their folder when "
        "you convert it: --set statistics=DIR. Beside --data those of the data set will do."
    )


def _statistics_in(folder: Path, representation: str) -> Statistics | None:
    if all(file.is_file() for file in Statistics.files(folder, representation)):
        return Statistics.load(folder, representation)
    return tmr.read_statistics(folder) if representation == "kinematic" else None


def _has(key: str, part: str) -> Callable[[Mapping[str, Any]], bool]:
    def recognises(content: Mapping[str, Any]) -> bool:
        state = content.get(key)
        return isinstance(state, Mapping) and any(str(name).removeprefix("module.") == part for name in state)

    return recognises


Reader = Callable[[Mapping[str, Any], Path, Beside], Learnt]

READERS: dict[str, tuple[Callable[[Mapping[str, Any]], bool], Reader]] = {
    "motionreward": (motionreward.recognises, _read_motionreward),
    "spm": (_has("state_dict", "dist_motion_layer.weight"), _read_spm),
    "tmr": (_has("state_dict", "motion_encoder.tokens"), _read_tmr),
    "motioncritic": (_has("model_state_dict", "dstran.joints_embed.weight"), _read_motioncritic),
}
"""How each family is recognised and read: one line each."""
