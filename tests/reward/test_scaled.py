"""A reward of people for a robot: it sees joints at a person's size, and physics sees them as they are."""

from typing import Any, ClassVar

import pytest
import torch

from motionrft.generators.folder import build_generator
from motionrft.representations.floor import leg_length
from motionrft.representations.kimodo.g1 import joints_of_qpos
from motionrft.representations.kimodo.skeletons import joints22
from motionrft.representations.rotation import default_rest_joints
from motionrft.reward.base import Learnt, RewardCondition
from motionrft.reward.loading import weighted
from motionrft.reward.physics import PhysicsReward
from motionrft.reward.scaled import Scaled
from tests.generators.families import KIMODO

LENGTHS = torch.tensor([9])


class Highest(Learnt):
    """The highest joint, above that of a reference where there is one."""

    family: ClassVar[str] = "highest"
    representation = "joints"
    terms = ("semantic",)

    def __init__(self) -> None:
        super().__init__()
        self.weights = {"semantic": 1.0}

    def config(self) -> dict[str, Any]:
        return {}

    def expect(self, representation: str) -> None:
        assert representation == "joints"

    def prepare(self, texts, references=None, lengths=None) -> RewardCondition:
        return RewardCondition() if references is None else RewardCondition(reference=references.amax((1, 2)))

    def forward(self, motion, lengths, condition, t=0):
        found = motion.amax((1, 2)) - (0 if condition.reference is None else condition.reference)
        return found, {"semantic": found}


def motion() -> torch.Tensor:
    """(1, T, 66) rising joints."""
    return torch.linspace(0, 2, 9)[None, :, None].pow(3).repeat(1, 1, 66)


def test_what_learnt_from_people_sees_their_size_and_physics_the_true_one() -> None:
    weights = {"semantic": 1.0, "jitter": 0.5}
    both = weighted(Highest(), weights, "joints", 30.0, size=1.3)
    _, terms = both(motion(), LENGTHS, both.prepare(["a"]))
    torch.testing.assert_close(terms["semantic"], 1.3 * motion().amax((1, 2)))
    _, alone = PhysicsReward({"jitter": 0.5}, "joints", 30.0)(motion(), LENGTHS, RewardCondition())
    torch.testing.assert_close(terms["jitter"], alone["jitter"])
    assert not any(
        isinstance(part, Scaled) for part in weighted(Highest(), weights, "joints", 30.0).modules()
    )


def test_what_it_is_compared_with_is_scaled_alike() -> None:
    reward = Scaled(Highest(), 1.3)
    total, _ = reward(motion(), LENGTHS, reward.prepare(["a"], motion(), LENGTHS))
    assert total.item() == pytest.approx(0, abs=1e-6)


def test_a_standing_robot_gets_a_persons_legs() -> None:
    robot = build_generator({"family": "kimodo", "denoiser": KIMODO | {"joints": 34}})
    standing = torch.zeros(1, 36, dtype=torch.float64)
    standing[:, 3] = 1
    legs = float(leg_length(joints22(*joints_of_qpos(standing))[None]))
    assert robot.size * legs == pytest.approx(float(leg_length(default_rest_joints()[None, None])), abs=1e-3)
    assert build_generator({"family": "kimodo", "denoiser": KIMODO}).size == 1
