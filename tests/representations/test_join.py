"""Joined clips go on where the one before stands."""

import math

import pytest
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.join import bone_lengths, join, repeated
from motionrft.rotations import yaw_rotate
from motionrft.skeleton import SMPL22
from tests.representations.people import people


def turned(joints: Tensor, angle: float, x: float) -> Tensor:
    return yaw_rotate(torch.tensor(angle, dtype=joints.dtype), joints) + joints.new_tensor([x, 0.0, 2.0])


def test_a_joined_motion_has_every_frame_but_the_overlaps() -> None:
    clip = people(40)[0]
    assert join([clip, clip, clip], blend=8).shape == (3 * 40 - 2 * 8, 22, 3)


def test_where_and_how_the_next_clip_was_recorded_does_not_matter() -> None:
    first, second = people(40, 1)[0], people(30, 2)[0]
    plain, moved = join([first, second]), join([first, turned(second, 2.0, -5.0)])
    torch.testing.assert_close(plain, moved, atol=1e-4, rtol=0)


def test_a_clip_cut_in_two_and_joined_is_the_clip_again() -> None:
    whole = people(60, 3)[0]
    again = join([whole[:34], turned(whole[26:], math.pi / 3, 1.0)], blend=8)
    torch.testing.assert_close(again, whole, atol=2e-3, rtol=0)


def test_bones_keep_their_length_through_the_overlap() -> None:
    first, second = people(40, 1)[0], people(40, 2)[0] * 0.9
    joined = join([first, second])
    thigh = (joined[:, 4] - joined[:, 1]).norm(dim=-1)
    long, short = thigh[0], thigh[-1]
    assert (thigh <= long + 1e-4).all() and (thigh >= short - 1e-4).all()


def test_one_foot_stays_on_its_spot_where_the_stance_changes() -> None:
    stand = people(1, 1)[0].expand(40, -1, -1)
    apart = stand.clone()
    apart[:, [4, 7, 10]] += stand.new_tensor([0.15, 0.0, 0.0])  # the left leg
    steps = join([stand, apart])[:, [7, 10, 8, 11]].diff(dim=0).norm(dim=-1)  # (T - 1, 4)
    assert steps.amin(1).max() < 0.004 < 0.01 < steps.amax()


def test_a_clip_shorter_than_its_overlaps_is_refused() -> None:
    with pytest.raises(UserError, match="clip 2 has 10 frames"):
        join([people(40)[0], people(10)[0], people(40)[0]], blend=8)


def raising(frames: int) -> torch.Tensor:
    """(frames, 22, 3) of a person whose right hand comes up and is not quite down when the clip ends."""
    clip = people(1, 0)[0].expand(frames, -1, -1).clone()
    angle = torch.sin(torch.linspace(0, 3.0, frames, dtype=clip.dtype))  # up to the shoulder and back
    for parent, joint in ((17, 19), (19, 21)):  # shoulder, elbow, wrist
        down = torch.stack((angle, (1 - angle.square()).sqrt(), 0 * angle), dim=-1)
        clip[:, joint] = clip[:, parent] - 0.25 * down
    return clip


def test_what_is_repeated_comes_to_its_end_before_it_begins_again() -> None:
    clip = raising(20)
    whole, overlapped = repeated(clip, 3, 8), join([clip] * 3, 8)
    assert len(whole) == 3 * 20 + 2 * 8
    wrist = clip[:, 21, 1]
    low = wrist[0] + 0.1 * (wrist.max() - wrist[0])
    for start in (20, 48):
        assert whole[start : start + 8, 21, 1].min() < low
    assert overlapped[13:19, 21, 1].min() > low
    step = whole.diff(dim=0).norm(dim=-1).amax()
    assert step < 1.5 * clip.diff(dim=0).norm(dim=-1).amax()
    lengths = bone_lengths(clip, SMPL22)[:1].expand(len(whole), -1, -1)
    torch.testing.assert_close(bone_lengths(whole, SMPL22), lengths, atol=1e-4, rtol=0)


def test_once_is_the_clip_itself() -> None:
    clip = raising(20)
    assert torch.equal(repeated(clip, 1), clip)
