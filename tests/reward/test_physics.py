"""Physics terms against motions whose faults are known."""

import pytest
import torch

from motionrft.errors import UserError
from motionrft.reward.physics import PHYSICS, PhysicsReward, physics_curves, physics_terms
from tests.reward.conftest import person

FPS = 20.0
LENGTH = torch.tensor([30])


def still() -> torch.Tensor:
    return person(30, 0.0, 0.0)[None]


def terms_of(joints: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in physics_terms(joints, LENGTH, FPS).items()}


def test_standing_costs_nothing() -> None:
    assert all(value == pytest.approx(0.0, abs=1e-6) for value in terms_of(still()).values())


def test_each_fault_has_its_term() -> None:
    gliding = still()
    gliding[..., 2] += torch.arange(30)[:, None] / FPS  # 1 m/s
    assert terms_of(gliding)["foot_skating"] == pytest.approx(0.9, abs=0.1)
    sunk, lifted = still(), still()
    sunk[..., 1] -= 0.12
    lifted[..., 1] += 0.2
    assert terms_of(sunk)["ground_penetration"] == pytest.approx(0.1, abs=1e-4)
    assert terms_of(lifted)["floating"] == pytest.approx(0.17, abs=1e-4)
    assert terms_of(lifted)["foot_skating"] == pytest.approx(0.0, abs=1e-6)
    grown = still()
    grown[:, 15:] = grown[:, 15:] * 1.5
    assert terms_of(grown)["bone_drift"] > 0.0


def test_jitter_of_a_cubic_is_its_third_derivative() -> None:
    joints = still().double()
    joints[..., 0] += (torch.arange(30, dtype=torch.float64) / FPS)[:, None] ** 3
    assert terms_of(joints)["jitter"] == pytest.approx(6.0, rel=1e-6)


def test_padding_and_batching_do_not_matter() -> None:
    short = person(18, 0.8, 0.3)[None]
    both = torch.zeros(2, 30, 22, 3)
    both[0], both[1, :18], both[1, 18:] = still()[0], short[0], 1e6
    together = physics_terms(both, torch.tensor([30, 18]), FPS)
    alone = physics_terms(short, torch.tensor([18]), FPS)
    for name in PHYSICS:
        torch.testing.assert_close(together[name][1], alone[name][0])


def test_curves_have_a_value_a_frame_and_the_total_as_mean() -> None:
    joints = person(30, 0.8, 0.3)[None]
    curves, terms = physics_curves(joints, LENGTH, FPS), physics_terms(joints, LENGTH, FPS)
    assert all(curve.shape == (1, 30) for curve in curves.values())
    torch.testing.assert_close(curves["foot_skating"].sum() / 29, terms["foot_skating"][0])


def test_gradient_is_finite_even_standing_still() -> None:
    joints = still().requires_grad_()
    names = tuple(PHYSICS)
    sum(value.sum() for value in physics_terms(joints, LENGTH, FPS, names).values()).backward()
    assert joints.grad is not None and torch.isfinite(joints.grad).all()


def test_two_frames_are_judged_without_nan() -> None:
    terms = physics_terms(person(2, 1.0, 0.0)[None], torch.tensor([2]), FPS)
    assert all(torch.isfinite(value).all() for value in terms.values())


def test_positive_weight_means_better() -> None:
    reward = PhysicsReward({"floating": 2.0}, "joints", FPS)
    lifted = still()
    lifted[..., 1] += 0.2
    total, terms = reward(torch.cat((still(), lifted)), LENGTH.repeat(2), reward.prepare([]))
    assert total[0] > total[1]
    torch.testing.assert_close(total, -2.0 * terms["floating"])
    with pytest.raises(UserError, match="no term 'gravity'"):
        PhysicsReward({"gravity": 1.0})
