"""Joints seen from the body: place and direction are gone, what the body does stays."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionrft.representations.windows import seen_from_windows
from motionrft.rotations import yaw_rotate
from tests.representations.people import people


def moved(joints: Tensor, yaw: float, x: float, z: float) -> Tensor:
    return yaw_rotate(joints.new_tensor(yaw), joints) + joints.new_tensor([x, 0.0, z])


@settings(max_examples=20, deadline=None)
@given(
    yaw=st.floats(-math.pi, math.pi),
    x=st.floats(-5, 5),
    z=st.floats(-5, 5),
    frames=st.integers(1, 6),
    length=st.integers(1, 25),
)
def test_place_and_direction_change_nothing(yaw: float, x: float, z: float, frames: int, length: int) -> None:
    joints = people(length, seed=3)
    seen, seen_elsewhere = (seen_from_windows(j, frames) for j in (joints, moved(joints, yaw, x, z)))
    torch.testing.assert_close(seen, seen_elsewhere, rtol=0, atol=1e-6)


def test_the_body_faces_ahead_in_the_first_frame_of_every_window() -> None:
    seen = seen_from_windows(people(12, turn=2.0), 4)[:, ::4]
    across = seen[:, :, 2] - seen[:, :, 1] + seen[:, :, 17] - seen[:, :, 16]
    assert (across[..., 0] < 0).all() and across[..., 2].abs().max() < 1e-6


def test_the_root_of_a_window_says_how_far_it_came() -> None:
    joints = people(12, turn=0.0, sway=0.0)
    walk = torch.arange(12, dtype=joints.dtype)[:, None] * joints.new_tensor([0.0, 0.0, 0.05])
    standing = joints[:, :1].expand(-1, 12, -1, -1) * joints.new_tensor([1.0, 1.0, 1.0])
    roots = seen_from_windows(standing + walk[None, :, None], 4)[0, ::4, 0]
    expected = joints.new_tensor([0.0, 0.2, 0.2])
    torch.testing.assert_close(roots[:, (0, 2)].norm(dim=-1), expected)
    torch.testing.assert_close(roots[:, 1], standing[0, ::4, 0, 1])


def test_bones_keep_their_lengths() -> None:
    joints = people(9)
    seen = seen_from_windows(joints, 4)
    for a, b in ((1, 4), (9, 12), (18, 20)):
        lengths = [(x[:, :, a] - x[:, :, b]).norm(dim=-1) for x in (seen, joints)]
        torch.testing.assert_close(*lengths)


@pytest.mark.parametrize("frames", [1, 4])
def test_gradients_are_finite_where_motion_is_padding(frames: int) -> None:
    joints = torch.cat((people(6), torch.zeros(1, 6, 22, 3, dtype=torch.float64)), dim=1).requires_grad_()
    seen_from_windows(joints, frames).square().sum().backward()
    assert joints.grad is not None and torch.isfinite(joints.grad).all()
