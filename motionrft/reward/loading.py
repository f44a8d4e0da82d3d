"""Rewards from our folders, with the terms that are asked for."""

from collections.abc import Mapping
from pathlib import Path

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


def read_reward_folder(folder: Path) -> Learnt:
    """The reward of one of our folders, of any family of the table.

    Raises:
        UserError: damaged, or a model that is no reward.
    """
    family = str(read_json(folder / CONFIG).get("family"))
    if family not in REWARDS:
        raise UserError(
            f"{folder}: holds a {family} model, which is no reward ({', '.join(REWARDS.names())} are)"
        )
    found: Learnt = REWARDS.load(family)(folder)
    return found


def physics_alone(weights: Mapping[str, float], representation: str, fps: float) -> PhysicsReward | None:
    """Physics with these weights, where they name nothing else; None where something has to be loaded."""
    learnt, physics = _split(weights)
    return None if learnt else PhysicsReward(physics, representation, fps)


def weighted(
    reward: Learnt, weights: Mapping[str, float] | None, representation: str = "kinematic", fps: float = 20.0
) -> Reward:
    """A reward with these terms and weights; physics terms join it by name."""
    learnt, physics = ({}, {}) if weights is None else _split(weights)
    reward.expect(representation)
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
