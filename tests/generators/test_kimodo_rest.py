"""Rest joints of SMPL-X: solved from a motion's own positions and rotations, and what needs them."""

import pytest
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.evaluation.sources import Made
from motionrft.generators.folder import build_generator
from motionrft.generators.kimodo import Kimodo
from motionrft.generators.kimodo_rest import bones_of, solved_rest
from motionrft.representations.convert import convert
from motionrft.representations.kimodo.features import ROOT, encode
from motionrft.representations.kimodo.skeletons import SMPLX22
from motionrft.reward.base import RewardCondition
from motionrft.reward.kimodo_terms import FeatureReward, with_feature_costs
from motionrft.reward.physics import PhysicsReward
from motionrft.rotations import quaternion_to_matrix, rotation_vector_to_quaternion
from tests.generators.families import KIMODO

FRAMES = 12


def body() -> Tensor:
    """(22, 3) an invented rest pose."""
    return torch.randn(22, 3, generator=torch.Generator().manual_seed(3)).double()


def motion(rest: Tensor) -> Tensor:
    """(1, T, 273) float32 features of a motion of it."""
    draws = torch.Generator().manual_seed(1)
    turns = 0.5 * torch.randn(FRAMES, 22, 3, generator=draws).double()
    root = torch.randn(FRAMES, 3, generator=draws).double()
    local = quaternion_to_matrix(rotation_vector_to_quaternion(turns))
    return encode(local, root, SMPLX22, rest).float()[None]


def generator() -> Kimodo:
    made = build_generator({"family": "kimodo", "denoiser": KIMODO | {"joints": 22}})
    assert isinstance(made, Kimodo)
    return made.eval()


def test_a_motion_that_agrees_with_itself_gives_its_bones() -> None:
    rest, features = body(), motion(body())
    found, spread = bones_of(features, torch.tensor([FRAMES]))
    torch.testing.assert_close(found.double(), rest - rest[0], atol=1e-5, rtol=0)
    assert spread < 1e-5
    noise = torch.zeros_like(features)
    noise[..., ROOT : ROOT + 66] = 0.01 * torch.randn(1, FRAMES, 66)
    assert 0.01 < bones_of(features + noise, torch.tensor([FRAMES]))[1] < 0.05, "frames that differ are told"
    padded = torch.cat((features, torch.full_like(features, 9)), dim=1)
    assert torch.equal(bones_of(padded, torch.tensor([FRAMES]))[0], found)


def test_weights_solve_the_same_rest_joints_every_time() -> None:
    made = generator()
    (rest, spread), (again, _) = solved_rest(made), solved_rest(made)
    assert torch.equal(rest, again) and rest.isfinite().all() and rest.any() and spread > 0


def test_its_blocks_are_consistent_on_its_own_bones_alone() -> None:
    rest, features, frames = body().float(), motion(body()), torch.tensor([FRAMES])

    def cost(rest: Tensor) -> float:
        return float(FeatureReward({"consistency": 1.0}, rest)(features, frames, RewardCondition())[0])

    assert abs(cost(rest)) < 1e-5 and cost(1.2 * rest) < -0.01
    physics = PhysicsReward({"jitter": 0.5}, "joints", 30.0)
    _, terms = with_feature_costs(physics, {"consistency": 1.0}, rest)(features, frames, RewardCondition())
    seen = convert(features, "kimodo", "joints", frames, rest).flatten(2)
    torch.testing.assert_close(terms["jitter"], physics(seen, frames, RewardCondition())[1]["jitter"])


def test_tables_see_its_joints_on_its_own_bones() -> None:
    rest, features, frames = body().float(), motion(body()), torch.tensor([FRAMES])
    joints = convert(features, "kimodo", "joints", frames, rest)
    made = Made(features, frames, "kimodo", 30.0, rest=rest)
    torch.testing.assert_close(made.clips()[0], joints[0])
    assert made.at(20.0).representation == "joints"


def test_who_has_no_rest_joints_is_told_so() -> None:
    with pytest.raises(UserError, match="needs its rest joints"):
        _ = generator().feature_rest
    with pytest.raises(UserError, match="needs its rest joints"):
        generator().encode(torch.zeros(1, 20, 135), torch.tensor([20]))
