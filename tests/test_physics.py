"""Physics: motions whose answer is known by hand, independence of padding, gradients, and the names."""

import math

import pytest
import torch
from torch.testing import assert_close

from motionrft.physics import (
    CHECKS,
    COSTS,
    MEASURES,
    QUANTITIES,
    RENAMED,
    current_names,
    physics_curves,
    physics_measures,
    physics_terms,
)
from motionrft.representations.joints import heading_change
from motionrft.representations.rotation import default_rest_joints
from motionrft.skeleton import SMPL22

FPS = 20.0


def measure(name, joints, frames=None, fps=FPS):
    lengths = torch.tensor([joints.shape[1] if frames is None else frames])
    return physics_measures(joints, lengths, fps, [name])[name].item()


def _stand(frames=40):
    """A stiff figure: hips and shoulders across X, feet on the floor, head on top; (1, T, 22, 3)."""
    pose = torch.zeros(22, 3)
    pose[:, 1] = torch.linspace(0.9, 1.5, 22)
    pose[[1, 16], 0], pose[[2, 17], 0] = 0.2, -0.2
    pose[[10, 11]] = torch.tensor([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    return pose.expand(1, frames, 22, 3).clone()


def _turned(joints, angles):
    c, s = angles.cos()[None, :, None], angles.sin()[None, :, None]
    x, y, z = joints.unbind(-1)
    return torch.stack((x * c + z * s, y, -x * s + z * c), dim=-1)


def test_a_sliding_figure_skates_all_the_time_and_a_lifted_one_never():
    slide = _stand()
    slide[..., 2] += torch.arange(40)[None, :, None] * (1.0 / FPS)
    # The moving average sees zeros outside the clip, so the very ends of a steady slide still pass 0.5 at 1
    # m/s.
    assert measure("skating_ratio", slide) == 1
    slide[..., 1] += 0.1
    assert measure("skating_ratio", slide) == 0
    assert measure("skating_ratio", _stand()) == 0


def test_jitter_of_a_cubic_is_its_third_derivative_and_of_a_parabola_zero():
    t = torch.arange(40, dtype=torch.float64) / FPS
    joints = _stand().double()
    joints[..., 0] += (t**2)[None, :, None]
    assert measure("jitter", joints) < 1e-6
    joints[..., 0] += (t**3)[None, :, None]
    assert_close(measure("jitter", joints), 6.0, rtol=1e-6, atol=0)


def test_a_clip_of_three_frames_has_no_jitter_to_speak_of():
    assert math.isnan(measure("jitter", _stand(3)))


def test_floor_distances():
    low, high = _stand(), _stand()
    low[..., 1] -= 0.03
    high[..., 1] += 0.25
    assert_close(measure("penetration", low), 0.03, rtol=1e-5, atol=1e-7)
    assert_close(measure("floating", high), 0.20, rtol=1e-5, atol=1e-7)


def test_bones_that_grow_by_a_tenth_after_the_first_frame():
    joints = _stand(11)
    joints[:, 1:] *= 1.1
    assert_close(measure("bone_length_drift", joints), 0.1 * 10 / 11, rtol=1e-5, atol=1e-7)


def test_gliding_and_turning_as_one_block_is_no_motion():
    angles = torch.linspace(0, 3.0, 40)
    joints = _turned(_stand(), angles)
    joints[..., 2] += torch.arange(40)[None, :, None] * 0.1
    assert measure("motion_energy", joints) < 1e-4
    joints[:, 1::2, 20, 1] += 0.22
    assert_close(measure("motion_energy", joints), 0.22 * FPS / 22, rtol=1e-4, atol=0)


@pytest.mark.parametrize("turn", [1.5, -2.0, 7.0])
def test_heading_change_counts_whole_turns_and_is_positive_to_the_left(turn):
    joints = _turned(_stand(), torch.linspace(0, turn, 40))
    assert_close(heading_change(joints, torch.tensor([joints.shape[1]])).item(), turn, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", QUANTITIES)
def test_padding_changes_nothing(name):
    joints = torch.randn(1, 30, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.05
    padded = torch.cat((joints, torch.full((1, 9, 22, 3), 1e6)), dim=1)
    assert_close(measure(name, padded, 30), measure(name, joints), rtol=1e-5, atol=1e-7)


def test_kit_skeletons_have_a_heading_too():
    from motionrft.evaluation.measure import physics
    from motionrft.skeleton import KIT21

    joints = torch.randn(1, 20, 21, 3, generator=torch.Generator().manual_seed(0)) * 0.01
    right_hip, left_hip, right_shoulder, left_shoulder = KIT21.facing
    joints[:, :, [left_hip, left_shoulder], 0] += 0.2
    joints[:, :, [right_hip, right_shoulder], 0] -= 0.2
    turned = _turned(joints, torch.linspace(0, 1.0, 20))
    assert_close(heading_change(turned, torch.tensor([20])).item(), 1.0, rtol=0.2, atol=0)
    assert "hand" not in physics(turned, torch.tensor([20]), 12.5)


def test_standing_costs_nothing():
    terms = physics_terms(_stand(), torch.tensor([40]), FPS)
    assert tuple(terms) == COSTS and all(abs(value.item()) < 1e-6 for value in terms.values())


def test_a_foot_that_glides_on_the_floor_costs_its_speed_and_in_the_air_nothing():
    slide = _stand()
    slide[..., 2] += torch.arange(40)[None, :, None] * (1.0 / FPS)
    assert measure("foot_skating", slide) == pytest.approx(0.99, abs=0.01)
    slide[..., 1] += 0.2
    assert measure("foot_skating", slide) == pytest.approx(0.0, abs=1e-5)


def test_a_foot_that_swings_low_beside_a_standing_one_is_no_skating_and_two_that_slide_are():
    swing = _stand()
    swing[:, :, 11, 2] += torch.arange(40)[None] * (2.0 / FPS)
    assert measure("foot_skating", swing) < 0.15
    swing[:, :, 11, 1] += 0.3  # the other foot is alone now, and slides
    swing[:, :, 10, 2] += torch.arange(40)[None] * (0.5 / FPS)
    assert measure("foot_skating", swing) == pytest.approx(0.47, abs=0.02)


def test_a_clip_that_never_comes_down_hovers_and_a_jump_does_not():
    lifted, jump = _stand(), _stand()
    lifted[..., 1] += 0.15
    jump[:, 10:30, :, 1] += 0.4
    assert measure("hovering", lifted) == pytest.approx(0.15, abs=1e-6)
    assert measure("hovering", jump) == measure("hovering", lifted - 1) == 0


def test_a_body_on_its_side_lies_and_one_with_exchanged_sides_looks_over_its_feet():
    person = default_rest_joints().float().expand(1, 10, 22, 3)
    assert measure("lying", person) == 0 and measure("swapped_sides", person) == 0
    assert measure("lying", person[..., [0, 2, 1]]) == 1
    assert measure("swapped_sides", person[:, :, list(SMPL22.mirror_order)]) == 1
    arms = list(range(22))
    arms[16:22] = [17, 16, 19, 18, 21, 20]
    assert measure("swapped_sides", person[:, :, arms]) == 1


@pytest.mark.parametrize("name", [name for name in QUANTITIES if QUANTITIES[name].lead])
def test_a_clip_too_short_for_a_quantity_costs_nothing_and_measures_nothing(name):
    short, lengths = _stand(QUANTITIES[name].lead), torch.tensor([QUANTITIES[name].lead])
    assert physics_terms(short, lengths, FPS, [name])[name].item() == 0
    assert math.isnan(physics_measures(short, lengths, FPS, [name])[name].item())


def test_curves_have_a_value_a_frame_and_the_term_as_their_mean():
    joints = _stand() + 0.05 * torch.randn(1, 40, 22, 3, generator=torch.Generator().manual_seed(0))
    curves = physics_curves(joints, torch.tensor([40]), FPS, list(QUANTITIES))
    terms = physics_terms(joints, torch.tensor([40]), FPS, list(QUANTITIES))
    for name, curve in curves.items():
        lead = QUANTITIES[name].lead
        assert curve.shape == (1, 40) and not curve[0, :lead].any()
        assert_close(curve[0, lead:].mean(), terms[name][0])


def test_the_gradient_of_every_cost_is_finite_even_standing_still():
    joints = _stand().requires_grad_()
    sum(value.sum() for value in physics_terms(joints, torch.tensor([40]), FPS).values()).backward()
    assert torch.isfinite(joints.grad).all()


def test_one_name_is_one_quantity_and_old_names_lead_to_todays():
    """`foot_skating` (m/s, trained) and `skating_ratio` (share of frames, counted) must never be mixed up again."""
    assert "foot_skating" in COSTS and "foot_skating" not in MEASURES and "skating_ratio" in MEASURES
    assert {*COSTS, *CHECKS, *MEASURES} == set(QUANTITIES) and not set(RENAMED) & set(QUANTITIES)
    assert current_names({"ground_penetration": 1, "jitter": 2}) == {"penetration": 1, "jitter": 2}
