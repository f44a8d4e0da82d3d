"""`load_reward`: any reward, from any place it may lie in, with the terms that are asked for."""

from collections.abc import Mapping
from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.physics import COSTS, current_names
from motionrft.registry import REWARDS
from motionrft.reward.base import Learnt, Reward
from motionrft.reward.physics import PhysicsReward
from motionrft.reward.unified import Part, UnifiedReward
from motionrft.training.weights import CONFIG, read_json


def reward_folder(path: Path | str) -> Path:
    """The model folder that a path means: itself, `reward/` inside a training run, or the built-in one.

    Raises:
        UserError: there is no reward.
    """
    if str(path) == "builtin":
        from motionrft.builtin import path as builtin_path

        return Path(builtin_path("reward"))
    folder = Path(path)
    for candidate in (folder, folder / "reward"):
        if (candidate / CONFIG).is_file():
            return candidate
    if not folder.exists():
        raise UserError(
            f"{folder}: no such reward. Train one with `motionrft train-reward`, or use `builtin`."
        )
    raise UserError(
        f"{folder}: no reward there (no {CONFIG}). Name a folder that `motionrft train-reward` wrote; a published "
        "checkpoint becomes one with `motionrft convert CHECKPOINT --to motionrft --out DIR`."
    )


def load_reward(
    path: Path | str,
    weights: Mapping[str, float] | None = None,
    representation: str = "kinematic",
    fps: float = 20.0,
    device: torch.device | str = "cpu",
) -> Reward:
    """Read a reward and weight its terms.

    Args:
        path: a reward's folder, a training run with one inside, or `builtin`.
        weights: term to weight, physics terms among them; zeros are left out. None takes those it was saved with.
        representation: of the motions it shall judge, de-normalised.
        fps: of those motions; only physics asks.

    Raises:
        UserError: no reward there, a damaged one, or a term that nothing provides.
    """
    if weights is not None and not _split(weights)[0]:
        return PhysicsReward(_split(weights)[1], representation, fps).to(device)
    folder = reward_folder(path)
    family = str(read_json(folder / CONFIG).get("family"))
    if family not in REWARDS:
        raise UserError(
            f"{folder}: holds a {family} model, which is no reward ({', '.join(REWARDS.names())} are)"
        )
    return weighted(REWARDS.load(family)(folder), weights, representation, fps).to(device)


def weighted(
    reward: Learnt, weights: Mapping[str, float] | None, representation: str = "kinematic", fps: float = 20.0
) -> Reward:
    """A reward with these terms and weights; physics terms join it by name."""
    learnt, physics = ({}, {}) if weights is None else _split(weights)
    reward.judge_in(representation)
    if learnt:
        reward.weigh(learnt)
    if not physics:
        return reward
    beside = PhysicsReward(physics, representation, fps)
    return UnifiedReward([Part(reward, reward.width), Part(beside)])


def _split(weights: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Learnt terms and physics terms, zeros left out."""
    given = {name: weight for name, weight in current_names(weights).items() if weight}
    if not given:
        raise UserError("a reward needs at least one term with a weight other than 0")
    physics = {name: weight for name, weight in given.items() if name in COSTS}
    return {name: weight for name, weight in given.items() if name not in COSTS}, physics
