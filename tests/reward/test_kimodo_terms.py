"""Costs of Kimodo's features: blocks that contradict each other, and the robot's hinges."""

import math

import pytest
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.kimodo.features import ROOT, KimodoFeatures, encode
from motionrft.representations.kimodo.g1 import HINGES, hinge_angles, pose_of_qpos
from motionrft.representations.kimodo.ours import kimodo_to_joints
from motionrft.representations.kimodo.skeletons import G1, SOMA30, numbers
from motionrft.reward.base import RewardCondition
from motionrft.reward.kimodo_terms import FeatureReward, feature_weights, with_feature_costs
from motionrft.reward.physics import PhysicsReward
from motionrft.reward.unified import Part, UnifiedReward
from motionrft.rotations import quaternion_to_matrix, rotation_vector_to_quaternion

FRAMES, JOINTS = 12, 30
LENGTHS = torch.tensor([FRAMES, 9])


def rotations(vectors: Tensor) -> Tensor:
    return quaternion_to_matrix(rotation_vector_to_quaternion(vectors))


def turning(gradient: Tensor) -> Tensor:
    """The block of rotations, (..., T, 180)."""
    return gradient[..., ROOT + 3 * JOINTS : ROOT + 9 * JOINTS]


def walk() -> Tensor:
    """(2, T, 369) float32 features of a body that walks and bends, as its encoder makes them."""
    torch.manual_seed(0)
    bend = 0.3 * torch.randn(JOINTS, 3, dtype=torch.float64) * torch.linspace(0, 1, FRAMES)[:, None, None]
    root = torch.stack(
        (torch.linspace(0, 1, FRAMES), torch.full((FRAMES,), 0.95), torch.zeros(FRAMES)), dim=-1
    )
    one = encode(rotations(bend), root.double(), SOMA30).float()
    return one[None].repeat(2, 1, 1)


def cost(name: str, features: Tensor, lengths: Tensor = LENGTHS) -> Tensor:
    total, terms = FeatureReward({name: 2.0})(features, lengths, RewardCondition())
    torch.testing.assert_close(total, -2 * terms[name])
    return terms[name]


def row(**angles: float) -> Tensor:
    """(1, 36) of the robot standing, hinges by the name of their joint."""
    qpos = torch.zeros(1, 36, dtype=torch.float64)
    qpos[:, 2], qpos[:, 3] = 0.79, 1
    for name, angle in angles.items():
        qpos[:, 7 + [G1.names[joint] for joint in HINGES].index(name)] = angle
    return qpos


def robot(qpos: Tensor) -> Tensor:
    local, root = pose_of_qpos(qpos.repeat(FRAMES, 1))
    return encode(local, root, G1).float()[None]


def test_what_an_encoder_makes_is_consistent() -> None:
    whole = walk()
    # A cut motion's last velocity is not the one before repeated, as its encoder would have it: 3 axes of one frame.
    assert cost("consistency", whole[:1], LENGTHS[:1]) < 1e-6
    garbage = whole.clone()
    garbage[1, 9:] = 7
    torch.testing.assert_close(cost("consistency", garbage)[0], cost("consistency", whole)[0])


def test_positions_beside_the_pose_cost_their_distance() -> None:
    features = walk()[:1]
    features[..., ROOT + 3 : ROOT + 3 * JOINTS : 3] += (
        0.15  # x of all joints but the pelvis, which carries the pose
    )
    # smooth-L1 beyond 5 cm: |d| - 2.5 cm, one axis of three, 29 joints of 30
    expected = (0.15 - 0.025) / 3 * 29 / 30
    torch.testing.assert_close(cost("consistency", features, LENGTHS[:1]).item(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("block", ["heading", "velocities", "contacts"])
def test_nothing_that_a_block_can_say_costs_less_than_the_truth(block: str) -> None:
    place = {"heading": slice(3, 5), "velocities": slice(-4 - 3 * JOINTS, -4), "contacts": slice(-4, None)}[
        block
    ]
    for factor in (0.5, 2.0, -1.0):
        features = walk()[:1]
        features[..., place] = features[..., place] * factor + 0.1
        assert cost("consistency", features, LENGTHS[:1]) > 1e-5


def test_the_other_blocks_follow_the_pose_and_do_not_pull_it() -> None:
    features = (walk()[:1] + 0.01).requires_grad_()
    cost("consistency", features, LENGTHS[:1]).backward()
    gradient = KimodoFeatures(features.grad)
    assert not turning(features.grad).any()
    for block in (
        gradient.positions[..., 1:, :],
        gradient.velocities,
        gradient.heading,
        gradient.values[..., -4:],
    ):
        assert block.abs().amax() > 0


def test_a_reward_on_joints_gives_the_other_blocks_nothing() -> None:
    features = walk()[:1].requires_grad_()
    kimodo_to_joints(features)[..., 20, 1].mean().backward()  # a wrist's height
    gradient = KimodoFeatures(features.grad)
    assert (
        turning(features.grad).any()
        and not gradient.velocities.any()
        and not gradient.positions[..., 1:, :].any()
    )


def test_hinge_angles_are_those_of_the_rows() -> None:
    torch.manual_seed(1)
    qpos = row().repeat(5, 1)
    qpos[:, 7:] = torch.rand(5, 29, dtype=torch.float64) * 4 - 2
    angles, left = hinge_angles(pose_of_qpos(qpos)[0])
    torch.testing.assert_close(angles, qpos[:, 7:], atol=1e-9, rtol=0)
    assert left.abs().max() < 1e-7


def test_an_angle_beyond_its_range_costs_the_excess() -> None:
    most = numbers("g1.limits")[3, 1].item()  # of the left knee
    assert cost("hinge_limits", robot(row(left_knee=most - 0.1)), LENGTHS[:1]) == 0
    found = cost("hinge_limits", robot(row(left_knee=most + 0.2)), LENGTHS[:1]).item()
    assert found == pytest.approx(0.2 / 29, abs=1e-5)


def test_what_no_hinge_can_make_costs_its_angle() -> None:
    assert cost("off_hinge", robot(row(left_elbow=0.7)), LENGTHS[:1]).abs() < 1e-6
    local, root = pose_of_qpos(row().repeat(FRAMES, 1))
    elbow = G1.names.index("left_elbow")
    aside = torch.tensor([0.0, 0, 0.5], dtype=torch.float64)  # the elbow turns about x
    local[:, elbow] = local[:, elbow] @ rotations(aside)
    found = cost("off_hinge", encode(local, root, G1).float()[None], LENGTHS[:1]).item()
    assert found == pytest.approx((1 - math.cos(0.5)) / 29, abs=1e-5)


@pytest.mark.parametrize("name", ["consistency", "hinge_limits", "off_hinge"])
def test_features_that_are_no_rotations_give_no_nan(name: str) -> None:
    features = torch.zeros(1, FRAMES, 417, requires_grad=True)
    value = cost(name, features, LENGTHS[:1])
    value.backward()
    assert value.isfinite().all() and features.grad is not None and features.grad.isfinite().all()


def test_costs_join_a_reward_of_joints() -> None:
    features, weights = walk(), {"jitter": 0.5}
    joints = PhysicsReward(weights, "joints", 30.0)
    both = with_feature_costs(joints, {"consistency": 1.0})
    total, terms = both(features, LENGTHS, both.prepare(["a", "b"]))
    alone, _ = joints(kimodo_to_joints(features, LENGTHS).flatten(2), LENGTHS, RewardCondition())
    assert set(terms) == {"jitter", "consistency"} and both.representation == "kimodo"
    torch.testing.assert_close(total, alone - terms["consistency"])
    assert both.term_weights == {"jitter": 0.5, "consistency": 1.0}


def test_a_cost_is_refused_where_the_generator_has_it_not() -> None:
    assert feature_weights({"semantic": 1, "consistency": 2}, ["consistency"]) == (
        {"consistency": 2},
        {"semantic": 1},
    )
    assert feature_weights({"hinge_limits": 0.0}, []) == ({}, {})
    with pytest.raises(UserError, match=r"weights\.hinge_limits: .* it has consistency"):
        feature_weights({"hinge_limits": 1.0}, ["consistency"])
    with pytest.raises(UserError, match="none of Kimodo's"):
        feature_weights({"consistency": 1.0}, [])


def test_learnt_terms_beside_physics_keep_their_texts() -> None:
    class Reads(PhysicsReward):
        """Gives what its condition's text says."""

        width = 2

        def prepare(self, texts, references=None, lengths=None) -> RewardCondition:
            return RewardCondition(torch.ones(len(texts), 2))

        def forward(self, motion, lengths, condition, t=0):
            return condition.text.sum(-1), {"semantic": condition.text.sum(-1)}

    reads, physics = Reads({"jitter": 1.0}, "joints"), PhysicsReward({"jitter": 0.5}, "joints", 30.0)
    both = with_feature_costs(UnifiedReward([Part(reads, 2), Part(physics)]), {"consistency": 1.0})
    _, terms = both(walk(), LENGTHS, both.prepare(["a", "b"]))
    assert terms["semantic"].tolist() == [2, 2] and set(terms) == {"semantic", "jitter", "consistency"}
