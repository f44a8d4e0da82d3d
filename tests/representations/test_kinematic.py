"""Laws of the kinematic features."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionrft.errors import UserError
from motionrft.representations.joints import mirror_joints
from motionrft.representations.kinematic import (
    blocks,
    joints_to_kinematic,
    kinematic_to_joints,
    normalise_joints,
    yaw_velocity,
)
from motionrft.rotations import yaw_rotate
from motionrft.skeleton import KIT21, SMPL22
from tests.representations.people import people

seeds = st.integers(0, 10**6)
frames = st.integers(2, 60)
quick = settings(max_examples=8, deadline=None)


def kit_people(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """KIT joints by picking SMPL joints of about the same place, and made-up target bones."""
    order = [0, 3, 6, 9, 15, 16, 18, 20, 17, 19, 21, 1, 4, 7, 10, 10, 2, 5, 8, 11, 11]
    joints = people(count, seed)[:, :, order].clone()
    joints[:, :, [15, 20], 2] += 0.05
    return joints, KIT21.rest_directions * 0.3


@quick
@given(seeds, frames, st.floats(-9, 9))
def test_joints_survive_the_features(seed: int, count: int, turn: float) -> None:
    joints = normalise_joints(people(count, seed, turn=turn))
    torch.testing.assert_close(
        kinematic_to_joints(joints_to_kinematic(joints)), joints[:, :-1], rtol=0, atol=1e-9
    )
    single = joints.float()
    torch.testing.assert_close(
        kinematic_to_joints(joints_to_kinematic(single)), single[:, :-1], rtol=0, atol=1e-5
    )


@quick
@given(seeds, frames, st.floats(-3.1, 3.1), st.floats(-5, 5), st.floats(-5, 5), st.floats(-1, 1))
def test_turning_shifting_and_lifting_change_nothing(
    seed: int, count: int, angle: float, x: float, z: float, lift: float
) -> None:
    joints = people(count, seed)
    moved = yaw_rotate(torch.full(joints.shape[:-1], angle, dtype=torch.float64), joints)
    moved = moved + torch.tensor([x, lift, z], dtype=torch.float64)
    torch.testing.assert_close(joints_to_kinematic(moved), joints_to_kinematic(joints), rtol=0, atol=1e-9)


@quick
@given(seeds, st.floats(0.2, 5))
def test_size_of_the_person_is_forgotten(seed: int, size: float) -> None:
    joints = people(30, seed)
    torch.testing.assert_close(
        joints_to_kinematic(size * joints), joints_to_kinematic(joints), rtol=0, atol=1e-9
    )


@quick
@given(seeds, st.integers(0, 40))
def test_padding_never_changes_valid_frames(seed: int, extra: int) -> None:
    short, long = people(25, seed), people(25 + extra, seed + 1)
    batch = torch.full((2, 25 + extra, 22, 3), torch.nan, dtype=torch.float64)
    batch[0, :25], batch[1] = short[0], long[0]
    features = joints_to_kinematic(batch, torch.tensor([25, 25 + extra]))
    torch.testing.assert_close(features[:1, :24], joints_to_kinematic(short), rtol=0, atol=1e-12)
    torch.testing.assert_close(features[1:], joints_to_kinematic(long), rtol=0, atol=1e-12)
    assert not features[0, 24:].any()
    back = kinematic_to_joints(features, torch.tensor([24, 24 + extra]))
    assert not back[0, 24:].any()


def test_kit_skeleton_survives_too() -> None:
    joints, target = kit_people(40, 3)
    features = joints_to_kinematic(joints, target_offsets=target)
    assert features.shape == (1, 39, 251)
    expected = normalise_joints(joints, target_offsets=target)[:, :-1]
    torch.testing.assert_close(kinematic_to_joints(features), expected, rtol=0, atol=1e-9)


def test_kit_needs_its_target_skeleton() -> None:
    with pytest.raises(ValueError, match="bone lengths"):
        joints_to_kinematic(kit_people(5, 0)[0])


def test_blocks_cover_the_features_once() -> None:
    for skeleton in (SMPL22, KIT21):
        places = list(blocks(skeleton).values())
        assert [place.start for place in places[1:]] == [place.stop for place in places[:-1]]
        assert (places[0].start, places[-1].stop) == (0, skeleton.features)


def test_a_step_forward_has_a_known_velocity() -> None:
    """A rigid T-pose that walks 5 cm a frame along +Z keeps that velocity and turns nowhere."""
    pose = people(1, sway=0.0, turn=0.0)
    forward = torch.tensor([0.0, 0.0, 0.05], dtype=torch.float64)
    features = joints_to_kinematic(pose + torch.arange(30)[None, :, None, None] * forward)
    # The person's own bones are the target's, so metres stay metres; its hips are not quite square to the walk.
    speed = features[0, :, blocks()["planar"]].norm(dim=-1)
    torch.testing.assert_close(speed, torch.full((29,), 0.05, dtype=torch.float64))
    # The first step of the heading is the known spike from the replaced identity; then nothing turns.
    torch.testing.assert_close(features[0, 1:, 0], torch.zeros(28, dtype=torch.float64))


def test_heading_follows_a_turn_at_constant_speed() -> None:
    """Far from the ends, a rigid body that turns 1 degree a frame turns its heading by as much, backwards."""
    pose = people(1, sway=0.0, turn=0.0).expand(1, 400, 22, 3)
    angle = torch.arange(400, dtype=torch.float64).deg2rad()
    features = joints_to_kinematic(yaw_rotate(angle[None, :, None].expand(1, 400, 22), pose))
    inner = features[0, 90:300, 0]
    torch.testing.assert_close(inner, torch.full_like(inner, -math.radians(1) / 2))


def test_official_yaw_has_the_wrong_sign_where_the_heading_passes_straight_back() -> None:
    angle = torch.tensor([[3.1, -3.1]], dtype=torch.float64)
    half = (2 * math.pi - 6.2) / 2
    assert yaw_velocity(angle).item() == pytest.approx(half)
    assert yaw_velocity(angle, official=True).item() == pytest.approx(-half)


def test_contacts_mark_the_feet_that_stand() -> None:
    joints = people(1, sway=0.0, turn=0.0).repeat(1, 4, 1, 1)
    joints[:, :, [7, 10]] += torch.arange(4, dtype=torch.float64)[None, :, None, None] * 0.1
    contacts = joints_to_kinematic(joints, canonical=False)[..., blocks()["contacts"]]
    assert contacts[0].tolist() == [[0, 0, 1, 1]] * 3


@pytest.mark.parametrize("count", [2, 3, 4])
def test_very_short_clips_are_right(count: int) -> None:
    """Three frames are no special case: a cross product must not run over time."""
    joints = people(count, 5)
    features = joints_to_kinematic(joints)
    expected = normalise_joints(joints)[:, :-1]
    torch.testing.assert_close(kinematic_to_joints(features), expected, rtol=0, atol=1e-9)


def test_one_frame_is_refused() -> None:
    with pytest.raises(UserError, match="one frame"):
        joints_to_kinematic(people(1))


def test_antiparallel_bone_stays_finite() -> None:
    """An arm straight up is opposite to its rest direction, straight down: the official code gives NaN."""
    joints = people(10, sway=0.0, turn=0.0)
    joints[:, :, 18] = joints[:, :, 16] + torch.tensor([0.0, 0.25, 0.0])
    joints[:, :, 20] = joints[:, :, 18] + torch.tensor([0.0, 0.25, 0.0])
    for dtype in (torch.float32, torch.float64):
        features = joints_to_kinematic(joints.to(dtype))
        assert features.isfinite().all()
        expected = normalise_joints(joints.to(dtype))[:, :-1]
        torch.testing.assert_close(kinematic_to_joints(features), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "joints", [torch.zeros(1, 20, 22, 3), people(1).float().expand(1, 20, 22, 3)], ids=["zeros", "still"]
)
def test_degenerate_motions_stay_finite_with_finite_gradients(joints: torch.Tensor) -> None:
    joints = joints.clone().requires_grad_()
    features = joints_to_kinematic(joints)
    assert features.isfinite().all()
    features.sum().backward()
    assert joints.grad is not None and joints.grad.isfinite().all()


def test_gradients_equal_finite_differences() -> None:
    features = joints_to_kinematic(people(6, 2)).clone().requires_grad_()
    assert torch.autograd.gradcheck(kinematic_to_joints, (features,), fast_mode=True)
    joints = people(4, 2).clone().requires_grad_()

    def smooth_part(x: torch.Tensor) -> torch.Tensor:
        return joints_to_kinematic(x)[..., :-4]

    assert torch.autograd.gradcheck(smooth_part, (joints,), fast_mode=True)


def test_mirrored_joints_have_mirrored_features_and_back() -> None:
    joints = people(30, 4)
    assert torch.equal(mirror_joints(mirror_joints(joints)), joints)
    # The target skeleton's sides differ by millimetres, so only signs of the root's motion are exact.
    here, there = joints_to_kinematic(joints), joints_to_kinematic(mirror_joints(joints))
    torch.testing.assert_close(here[..., 0], -there[..., 0], rtol=0, atol=0.05)


def test_autocast_changes_nothing() -> None:
    joints = people(20, 1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = joints_to_kinematic(joints)
    torch.testing.assert_close(inside, joints_to_kinematic(joints))
