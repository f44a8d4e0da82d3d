"""The floor under joints, the path that fits other legs, and positions between frames."""

import math

import pytest
import torch

from motionrft.physics import physics_measures
from motionrft.representations.convert import convert
from motionrft.representations.floor import SOLE, floor_height, stand_on_floor, standing_height
from motionrft.representations.joints import resample_linear, resample_smooth
from motionrft.representations.rotation import default_rest_joints, rest_with_lengths, rotation_to_joints


def standing(frames: int = 30, sole: float = 0.04) -> torch.Tensor:
    """A T-pose (1, T, 22, 3) whose toes are a sole above y = 0."""
    rest = default_rest_joints().float()
    return (rest - torch.tensor([0.0, float(rest[:, 1].min()) - sole, 0.0])).expand(1, frames, 22, 3).clone()


@pytest.mark.parametrize(
    ("moved", "floor"),
    [(0.0, 0.04), (-0.04, 0.0), (-0.12, 0.0), (0.5, SOLE), (-0.98, -0.94), (7.0, 7.04)],
    ids=["sole", "lowest joint at 0", "sunk", "lifted", "pelvis at the origin", "studio upstairs"],
)
def test_the_floor_is_the_files_own_zero_where_feet_are_near_it(moved: float, floor: float) -> None:
    joints = standing()
    joints[..., 1] += moved
    assert floor_height(joints).item() == pytest.approx(floor, abs=1e-5)


def test_a_body_sunk_by_twelve_centimetres_is_seen_to_be() -> None:
    joints = standing(sole=0.042)
    joints[..., 1] -= 0.12
    depth = physics_measures(stand_on_floor(joints), torch.tensor([30]), 20.0, ("penetration",))
    assert depth["penetration"].item() == pytest.approx(0.078, abs=1e-4)


def test_a_jump_and_padding_do_not_move_the_floor() -> None:
    joints = standing()
    joints[:, 10:20, :, 1] += 0.4
    assert floor_height(joints).item() == pytest.approx(0.04, abs=1e-5)
    padded = torch.cat((joints, torch.full((1, 9, 22, 3), -5.0)), dim=1)
    assert floor_height(padded, torch.tensor([30])).item() == pytest.approx(0.04, abs=1e-5)


def walker(rest: torch.Tensor, frames: int = 60) -> torch.Tensor:
    """Steps of planted feet: the pelvis swings over the standing foot, (1, T, 22, 3)."""
    from motionrft.representations.rotation import joints_to_rotation

    rotation = joints_to_rotation(rest.expand(1, frames, 22, 3), rest).clone()
    angle = 0.3 * torch.sin(torch.linspace(0, 2 * math.pi, frames))
    cos, sin = angle.cos(), angle.sin()
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    tilt = torch.stack((one, zero, zero, cos, zero, sin), dim=-1)  # about X, interleaved 6D
    rotation[0, :, 3:9] = tilt
    joints = rotation_to_joints(rotation, rest)
    return joints - (joints[:, :, 7:8] - joints[:, :1, 7:8])  # the left ankle stands


@pytest.mark.parametrize("size", [0.7, 1.2])
def test_feet_that_stood_still_stand_on_the_default_skeleton_too(size: float) -> None:
    rest = default_rest_joints()
    lengths = torch.cat((torch.zeros(1), (rest[1:] - rest[list_parents()]).norm(dim=-1).float())).double()
    joints = walker(rest_with_lengths(rest, size * lengths).double())
    joints = joints - torch.tensor([0.0, float(joints[..., 1].min()), 0.0], dtype=torch.float64)
    played = convert(convert(joints, "joints", "rotation"), "rotation", "joints")
    assert (played[0, :, 7] - played[0, :1, 7]).norm(dim=-1).max() < 0.01
    assert standing_height(played).item() == pytest.approx(standing_height(joints).item(), abs=1e-6)


def list_parents() -> list[int]:
    from motionrft.skeleton import SMPL22

    return list(SMPL22.parents[1:])


def test_joints_of_the_default_skeleton_come_back_as_they_were() -> None:
    joints = walker(default_rest_joints())
    again = convert(convert(joints, "joints", "rotation"), "rotation", "joints")
    torch.testing.assert_close(again, joints, atol=1e-6, rtol=0)


def test_cubics_between_frames_follow_a_cubic_and_keep_the_frames_that_are_there() -> None:
    time = torch.arange(31, dtype=torch.float64)[:, None] / 30
    values = time**3 - time
    smooth = resample_smooth(values, 30, 20)
    wanted = torch.arange(len(smooth), dtype=torch.float64)[:, None] / 20
    torch.testing.assert_close(smooth[1:-1], (wanted**3 - wanted)[1:-1], atol=1e-12, rtol=0)
    torch.testing.assert_close(smooth[::2], values[::3], atol=1e-12, rtol=0)
    assert len(smooth) == len(resample_linear(values, 30, 20))


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_short_clips_are_resampled_too(frames: int) -> None:
    values = torch.arange(frames, dtype=torch.float64)[:, None].expand(-1, 3)
    found = resample_smooth(values, 30, 60)
    torch.testing.assert_close(found[:, 0], torch.arange(2 * frames - 1, dtype=torch.float64) / 2)
