"""Rewards from our folders, with the terms that are asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from motionrft import builtin
from motionrft.errors import UserError
from motionrft.parsing import read_json
from motionrft.physics import COSTS, current_names
from motionrft.registry import REWARDS
from motionrft.reward.base import Learnt, Reward, RewardFamily
from motionrft.reward.naming import is_own
from motionrft.reward.own import load_own
from motionrft.reward.physics import PhysicsReward
from motionrft.reward.resampled import at_own_rate
from motionrft.reward.scaled import Scaled
from motionrft.reward.unified import Part, UnifiedReward
from motionrft.training.weights import CONFIG


def reward_folder(path: Path | str) -> Path:
    """The model folder that a path means: itself, `reward/` inside a training run, or the built-in one.

    Raises:
        UserError: there is no reward.
    """
    if str(path) in builtin.NAMES:
        return builtin.resolve(str(path), "reward")
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
    found = REWARDS.load(family) if family in REWARDS else None
    if not isinstance(found, RewardFamily):
        families = [name for name in REWARDS.names() if not is_own(name)]
        raise UserError(f"{folder}: holds a {family} model, which is no reward ({', '.join(families)} are)")
    return found.read(folder)


@dataclass(frozen=True)
class Terms:
    """Weights other than 0, by who gives the term: the reward, physics, or code of the user's own."""

    learnt: dict[str, float]
    physics: dict[str, float]
    own: dict[str, float]

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> "Terms":
        """Raises `UserError` where nothing has a weight."""
        given = {name: weight for name, weight in current_names(weights).items() if weight}
        if not given:
            raise UserError("a reward needs at least one term with a weight other than 0")
        own = {name: weight for name, weight in given.items() if is_own(name)}
        physics = {name: weight for name, weight in given.items() if name in COSTS}
        rest = {name: weight for name, weight in given.items() if name not in {*own, *physics}}
        return cls(rest, physics, own)


def weighted(
    reward: Learnt | None,
    weights: Mapping[str, float] | None,
    representation: str = "kinematic",
    fps: float = 20.0,
    size: float = 1.0,
) -> Reward:
    """A reward with these terms and weights; physics and the user's own terms join it by name.

    Joints and rotations of another rate than it learnt are resampled on their way to it (`reward.resampled`).

    Args:
        reward: or None, where `weights` name no term of one.
        size: what joints are multiplied by on their way to what learnt from people (`reward.scaled`).
    """
    terms = None if weights is None else Terms.of(weights)
    parts: list[Part] = []
    if reward is not None:
        reward.expect(representation)
        if terms is not None and terms.learnt:
            _check_known(terms.learnt, reward)
            reward.weigh(terms.learnt)
        fitting = at_own_rate(reward, fps)
        parts.append(Part(fitting if size == 1 else Scaled(fitting, size), reward.width))
    if terms is not None and terms.physics:
        parts.append(Part(PhysicsReward(terms.physics, representation, fps)))
    for name, weight in {} if terms is None else terms.own.items():
        own = load_own(name, representation, fps)
        own.expect(representation)
        own.weigh(dict.fromkeys(own.terms, weight))
        parts.append(Part(own, own.width))
    return parts[0].reward if len(parts) == 1 else UnifiedReward(parts)


def _check_known(names: Iterable[str], reward: Learnt) -> None:
    """Refuse a term that nobody gives."""
    own = [name for name in REWARDS.names() if is_own(name)]
    given = (*reward.terms, *reward.asked)
    known = [*given, *COSTS, *own]
    brought = f", packages bring {', '.join(own)}" if own else ""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise UserError(
                f"no term is called {name!r}; this reward gives {', '.join(given)}, physics gives "
                f"{', '.join(COSTS)}{brought}."
                f"{f' Did you mean {near[0]}?' if near else ''}"
            )
