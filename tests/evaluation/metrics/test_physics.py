"""Physical metrics: motions whose answer is known by hand, and independence of padding."""

import math

import pytest
import torch
from torch.testing import assert_close

from motionrft.evaluation.metrics import (
    bone_length_drift,
    floating,
    heading_change,
    jitter,
    motion_energy,
    penetration,
    skating_ratio,
)
from motionrft.skeleton import SMPL22

FPS = 20.0


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


def _lengths(joints):
    return torch.tensor([joints.shape[1]])


def test_a_sliding_figure_skates_all_the_time_and_a_lifted_one_never():
    slide = _stand()
    slide[..., 2] += torch.arange(40)[None, :, None] * (1.0 / FPS)
    # The moving average sees zeros outside the clip, so the very ends of a steady slide still pass 0.5 at 1
    # m/s.
    assert skating_ratio(slide, _lengths(slide), FPS).item() == 1
    slide[..., 1] += 0.1
    assert skating_ratio(slide, _lengths(slide), FPS).item() == 0
    assert skating_ratio(_stand(), torch.tensor([40]), FPS).item() == 0


def test_jitter_of_a_cubic_is_its_third_derivative_and_of_a_parabola_zero():
    t = torch.arange(40, dtype=torch.float64) / FPS
    joints = _stand().double()
    joints[..., 0] += (t**2)[None, :, None]
    assert jitter(joints, _lengths(joints), FPS).item() < 1e-6
    joints[..., 0] += (t**3)[None, :, None]
    assert_close(jitter(joints, _lengths(joints), FPS).item(), 6.0, rtol=1e-6, atol=0)


def test_a_clip_of_three_frames_has_no_jitter_to_speak_of():
    assert math.isnan(jitter(_stand(3), torch.tensor([3]), FPS).item())


def test_floor_distances():
    low, high = _stand(), _stand()
    low[..., 1] -= 0.03
    high[..., 1] += 0.25
    assert_close(penetration(low, _lengths(low)).item(), 0.03, rtol=1e-5, atol=1e-7)
    assert_close(floating(high, _lengths(high)).item(), 0.20, rtol=1e-5, atol=1e-7)


def test_bones_that_grow_by_a_tenth_after_the_first_frame():
    joints = _stand(11)
    joints[:, 1:] *= 1.1
    drift = bone_length_drift(joints, _lengths(joints), SMPL22.parents)
    assert_close(drift.item(), 0.1 * 10 / 11, rtol=1e-5, atol=1e-7)


def test_gliding_and_turning_as_one_block_is_no_motion():
    angles = torch.linspace(0, 3.0, 40)
    joints = _turned(_stand(), angles)
    joints[..., 2] += torch.arange(40)[None, :, None] * 0.1
    assert motion_energy(joints, _lengths(joints), FPS).item() < 1e-4
    joints[:, 1::2, 20, 1] += 0.22
    assert_close(motion_energy(joints, _lengths(joints), FPS).item(), 0.22 * FPS / 22, rtol=1e-4, atol=0)


@pytest.mark.parametrize("turn", [1.5, -2.0, 7.0])
def test_heading_change_counts_whole_turns_and_is_positive_to_the_left(turn):
    joints = _turned(_stand(), torch.linspace(0, turn, 40))
    assert_close(heading_change(joints, _lengths(joints)).item(), turn, rtol=1e-4, atol=0)


@pytest.mark.parametrize("metric", [jitter, motion_energy, skating_ratio])
def test_padding_changes_nothing(metric):
    joints = torch.randn(1, 30, 22, 3, generator=torch.Generator().manual_seed(0)) * 0.05
    padded = torch.cat((joints, torch.full((1, 9, 22, 3), 7.0)), dim=1)
    assert_close(metric(padded, torch.tensor([30]), FPS), metric(joints, torch.tensor([30]), FPS))


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
