"""A MotionReward on disk: `model.safetensors`, `config.json`, `manifest.json` and a card in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.statistics import Statistics
from motionrft.reward.adapters import Judge
from motionrft.reward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward import JUDGED_TERMS, MotionReward
from motionrft.reward.sizes import RewardSize
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.text.registry import ENCODERS, load_text_encoder
from motionrft.training.weights import load_state, load_weights, save_weights

FAMILY = "motionreward"
_HALF = {"fp16": torch.float16, "fp32": torch.float32}


def save_reward(
    folder: Path | str,
    reward: MotionReward,
    card: str | None = None,
    precision: str = "fp32",
) -> None:
    """Write a reward, whole or not at all. `reward.about` goes into `config.json` with it.

    Args:
        precision: fp16 halves the file; it is read back as float32. Statistics stay float32.
    """
    state = reward.state_dict()
    tensors = {
        name: value.to(_HALF[precision]) if name.startswith(("network.", "judges.")) else value
        for name, value in state.items()
    }
    config = {
        "family": FAMILY,
        "size": reward.network.size.to_dict(),
        "text": reward.text_encoder.name,
        "text_identity": reward.text_encoder.identity,
        "weights": reward.weights,
        "judges": {
            name: {"rank": judge.adapter.rank, "alpha": judge.adapter.alpha}
            for name, judge in reward.judges.items()
            if isinstance(judge, Judge)
        },
        "adapter_time": reward.adapter_time,
        "window": reward.window,
        "about": dict(reward.about),
    }
    save_weights(folder, tensors, config, card)


def load_motionreward(
    folder: Path | str,
    weights: Mapping[str, float] | None = None,
    representation: str = "kinematic",
    device: torch.device | str = "cpu",
) -> MotionReward:
    """Read a reward: all of it or nothing.

    Args:
        weights: term to weight; None takes those it was saved with.
        representation: of the motions it shall judge.

    Raises:
        UserError: no such folder, damaged, of another family or architecture.
    """
    tensors, config = load_weights(folder)
    if config.get("family") != FAMILY:
        raise UserError(f"{folder}: holds a {config.get('family', 'nameless')} model, not a {FAMILY} reward")
    size = RewardSize.from_dict(config["size"])
    tensors = {name: value.float() for name, value in tensors.items()}
    network = MotionRewardNetwork(size)
    judges = {
        name: Judge(network.motion, JUDGED_TERMS[name], **values)
        for name, values in config.get("judges", {}).items()
    }
    reward = MotionReward(
        network,
        _statistics(tensors, size, Path(folder)),
        text_encoder(config["text"], size.text_width, device),
        weights or config["weights"],
        representation,
        judges,
    )
    load_state(reward, tensors, str(folder))
    reward.adapter_time, reward.window = config.get("adapter_time", False), config.get("window")
    reward.about = dict(config.get("about", {}))
    return reward.to(device)


class AbsentTextEncoder(TextEncoder):
    """Stands for an encoder that this installation cannot run: everything works that reads no text."""

    def __init__(self, name: str, width: int) -> None:
        self.name, self.identity, self.width, self.pooled_width = name, name, width, None

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        raise UserError(
            f"this reward reads text with {self.name}, which cannot be run here (there are {', '.join(ENCODERS)}); "
            "ask for terms without text, such as preference, authenticity or physics."
        )


def text_encoder(name: str, width: int, device: torch.device | str = "cpu") -> TextEncoder:
    """The text encoder of that name, or a stand-in that only fails when a text has to be read."""
    return load_text_encoder(name, device=device) if name in ENCODERS else AbsentTextEncoder(name, width)


def _statistics(tensors: Mapping[str, Tensor], size: RewardSize, folder: Path) -> dict[str, Statistics]:
    try:
        return {
            name: Statistics(tensors[f"normalisers.{name}.mean"], tensors[f"normalisers.{name}.std"])
            for name in size.representations
        }
    except KeyError as missing:
        raise UserError(f"{folder}: has no statistics {missing}; train or convert the reward again") from None
