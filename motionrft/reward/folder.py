"""A reward on disk: `model.safetensors`, `config.json`, `manifest.json` and a card in one folder.

`config.json` says with `family` which reward it is; the tensors hold its statistics too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.parsing import parsing, reads
from motionrft.registry import TEXT_ENCODERS
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import Learnt, RewardFamily
from motionrft.reward.known import Known
from motionrft.reward.motioncritic import MotionCriticNetwork, MotionCriticReward, MotionCriticSize
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork, MotionTower
from motionrft.reward.motionreward.motionreward import (
    CRITIC_OUTPUTS,
    PUBLISHED_NOISE_STEPS,
    MotionReward,
)
from motionrft.reward.motionreward.sizes import RewardSize
from motionrft.reward.tmr import TMRNetwork, TMRReward, TMRSize
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.cache import CachedTextEncoder
from motionrft.text.loading import load_text_encoder
from motionrft.training.outline import outlining
from motionrft.training.weights import CONFIG, check_fits, load_state, load_weights, save_weights

Size = TypeVar("Size", TMRSize, MotionCriticSize)

_HALF = {"fp16": torch.float16, "fp32": torch.float32}


def save_reward(
    folder: Path | str,
    reward: Learnt,
    card: str | None = None,
    precision: str = "fp32",
) -> None:
    """Write a reward of any family, whole or not at all.

    Args:
        precision: fp16 halves the file; it is read back as float32. Statistics stay float32.
    """
    state = reward.state_dict()
    tensors = {
        name: value.to(_HALF[precision])
        if name.startswith(("network.", "critics.", "former_tower."))
        else value
        for name, value in state.items()
    }
    if isinstance(reward, MotionReward) and reward.known is not None:
        tensors |= reward.known.tensors()
    config = {"family": reward.family, **reward.config(), "weights": reward.weights}
    save_weights(folder, tensors, config, card)


@reads("a MotionReward")
def load_motionreward(
    folder: Path | str,
    weights: Mapping[str, float] | None = None,
    representation: str = "kinematic",
    device: torch.device | str = "cpu",
) -> MotionReward:
    """Read a reward: all of it or nothing.

    Args:
        weights: term to weight; None takes those it was saved with.
        representation: of the motions it shall critic.

    Raises:
        UserError: no such folder, damaged, of another family or architecture.
    """
    tensors, config = _read(folder, MotionReward.family)
    size = RewardSize.from_dict(config["size"])
    check_fits(lambda: MotionRewardNetwork(size), _network(tensors), str(folder))
    network = MotionRewardNetwork(size)
    critics = {
        name: Critic(network.motion, CRITIC_OUTPUTS[name], **values)
        for name, values in config.get("critics", {}).items()
    }
    reward = MotionReward(
        network,
        {name: _statistics(tensors, f"normalisers.{name}", folder) for name in size.representations},
        text_encoder(config["text"], size.text_width, device, _learnt_with(config, folder)),
        weights or config["weights"],
        representation,
        critics,
    )
    if config.get("former_tower"):
        reward.former_tower = MotionTower(size).eval().requires_grad_(False)
    known = {name: tensors.pop(name) for name in list(tensors) if name.startswith("known.")}
    load_state(reward, tensors, str(folder))
    if known:
        reward.known = Known.of_folder(known, config["known"])
        reward.known_in = config["known_in"]
    reward.adapter_time = config.get("adapter_time", False)
    reward.critic_window = config.get("critic_window")
    # Folders from before this was written down: whoever is told the level is taken to have been trained on levels.
    reward.noise_steps = config.get("noise_steps", PUBLISHED_NOISE_STEPS if size.mode != "M0T0" else None)
    reward.about = dict(config.get("about", {}))
    return reward if outlining() else reward.to(device)


@reads("a TMR reward")
def load_tmr(folder: Path | str) -> TMRReward:
    """Read a converted TMR with its statistics; raises as `load_motionreward`."""
    tensors, config = _read(folder, TMRReward.family)
    size = _size(TMRSize, config, folder)
    check_fits(lambda: TMRNetwork(size), _network(tensors), str(folder))
    reward = TMRReward(
        TMRNetwork(size),
        _statistics(tensors, "normaliser", folder),
        text_encoder(config["text"], size.text_width, learnt_with=_learnt_with(config, folder)),
        config["weights"],
    )
    load_state(reward, tensors, str(folder))
    return reward


@reads("a MotionCritic reward")
def load_motioncritic(folder: Path | str) -> MotionCriticReward:
    """Read a converted MotionCritic; raises as `load_motionreward`."""
    tensors, config = _read(folder, MotionCriticReward.family)
    size = _size(MotionCriticSize, config, folder)
    check_fits(lambda: MotionCriticNetwork(size), _network(tensors), str(folder))
    reward = MotionCriticReward(MotionCriticNetwork(size), config["weights"])
    load_state(reward, tensors, str(folder))
    return reward


class AbsentTextEncoder(TextEncoder):
    """Stands for an encoder that this installation cannot run: everything works that reads no text."""

    def __init__(self, name: str, width: int) -> None:
        self.name, self.identity, self.width, self.pooled_width = name, name, width, None

    def check(self, texts: Sequence[str]) -> None:
        self.encode(texts)

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        raise UserError(
            f"this reward reads text with {self.name}, which cannot be run here (there are "
            f"{', '.join(TEXT_ENCODERS.names())}); "
            "ask for terms without text, such as preference, authenticity or physics."
        )


def text_encoder(
    name: str,
    width: int,
    device: torch.device | str = "cpu",
    learnt_with: tuple[str, str] | None = None,
) -> TextEncoder:
    """The text encoder of that name, or a stand-in that only fails when a text has to be read.

    Args:
        learnt_with: as `CachedTextEncoder.learnt_with`.
    """
    if name not in TEXT_ENCODERS:
        return AbsentTextEncoder(name, width)
    encoder = load_text_encoder(name, device=device)
    if isinstance(encoder, CachedTextEncoder):
        encoder.learnt_with = learnt_with
    return encoder


def _learnt_with(config: Mapping[str, Any], folder: Path | str) -> tuple[str, str] | None:
    identity = config.get("text_identity")
    return None if identity is None else (str(identity), str(folder))


def _read(folder: Path | str, family: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors in float32, as they lie, and the configuration, of a reward of that family."""
    tensors, config = load_weights(folder)
    if config.get("family") != family:
        raise UserError(f"{folder}: holds a {config.get('family', 'nameless')} model, not a {family} reward")
    if "judges" in config:  # what `critics` were called in the folders of the first release
        config["critics"] = config.pop("judges")
        tensors = {name.replace("judges.", "critics.", 1): value for name, value in tensors.items()}
    return {name: value.float() for name, value in tensors.items()}, config


def _network(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's own tensors, under their names in it."""
    prefix = "network."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _size(kind: type[Size], config: Mapping[str, Any], folder: Path | str) -> Size:
    with parsing(Path(folder) / CONFIG, "the size of a network"):
        return kind(**config["size"])


def _statistics(tensors: Mapping[str, Tensor], place: str, folder: Path | str) -> Statistics:
    try:
        return Statistics(tensors[f"{place}.mean"], tensors[f"{place}.std"])
    except KeyError as missing:
        raise UserError(f"{folder}: has no statistics {missing}; train or convert the reward again") from None


MOTIONREWARD, TMR, MOTIONCRITIC = (
    RewardFamily(load_motionreward),
    RewardFamily(load_tmr),
    RewardFamily(load_motioncritic),
)
