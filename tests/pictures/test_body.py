"""The figure: its limbs follow the skeleton, its extra points lie where heads, noses and hands are."""

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.pictures.body import BODIES, body_of, check_joints, facing, figure_points, ground_height
from motionrft.skeleton import KIT21, SMPL22
from tests.pictures.conftest import STANDING


@pytest.mark.parametrize("skeleton", [SMPL22, KIT21], ids=lambda skeleton: skeleton.name)
def test_every_limb_is_a_bone_and_every_bone_is_drawn(skeleton):
    body = BODIES[skeleton.joints]
    drawn = {
        frozenset((limb.start, limb.end)) for limb in body.limbs if max(limb.start, limb.end) < body.joints
    }
    bones = {frozenset((joint, parent)) for joint, parent in enumerate(skeleton.parents) if parent >= 0}
    head = frozenset(body.head)  # the neck runs on to the middle of the head instead of the head joint
    assert drawn == bones - {head}


@pytest.mark.parametrize("skeleton", [SMPL22, KIT21], ids=lambda skeleton: skeleton.name)
def test_heading_joints_are_the_skeletons(skeleton):
    assert BODIES[skeleton.joints].across == skeleton.facing


def test_left_limbs_join_left_joints():
    for limb in BODIES[22].limbs:
        if limb.end < 22 and limb.side != "middle":
            assert SMPL22.names[limb.end].startswith(limb.side)


def test_a_person_with_left_at_plus_x_faces_plus_z():
    np.testing.assert_allclose(facing(STANDING[None]), [[0, 0, 1]], atol=1e-9)


def test_facing_turns_with_the_person():
    for angle in np.linspace(-3, 3, 7):
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        expected = [np.sin(angle), 0, np.cos(angle)]
        np.testing.assert_allclose(facing((STANDING @ turn.T)[None])[0], expected, atol=1e-9)


def test_nose_points_ahead_and_hands_continue_the_forearms():
    points = figure_points(STANDING[None])[0]
    head, nose, left_hand, right_hand = points[22:]
    assert nose[2] > head[2] + 0.05 and head[1] > STANDING[15, 1]
    assert left_hand[1] < STANDING[20, 1] and left_hand[0] > 0 > right_hand[0]


def test_kit_skeleton_has_as_many_extra_points():
    joints = np.random.default_rng(0).normal(size=(3, 21, 3))
    assert figure_points(joints).shape == (3, 25, 3)
    assert body_of(joints).joints == 21


@pytest.mark.parametrize(
    ("joints", "says"),
    [
        (np.zeros((4, 263)), "shape"),
        (np.zeros((4, 20, 3)), "shape"),
        (np.zeros((0, 22, 3)), "no frames"),
        (np.where(np.arange(4)[:, None, None] == 2, np.nan, np.zeros((4, 22, 3))), "frame 2"),
    ],
)
def test_what_cannot_be_drawn_is_named(joints, says):
    with pytest.raises(UserError, match=says):
        check_joints(joints)


def test_a_motion_that_sinks_a_little_keeps_the_floor_at_zero_and_one_from_elsewhere_brings_its_own():
    assert ground_height(STANDING - [0, 0.1, 0]) == 0.0
    assert ground_height(STANDING - [0, 1.0, 0]) == pytest.approx(-0.98)
