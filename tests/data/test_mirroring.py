"""The mirror: features and captions agree about left and right."""

import pytest
import torch

from motionrft.data.mirroring import mirror_caption, mirror_kinematic
from motionrft.representations.joints import mirror_joints
from motionrft.representations.kinematic import kinematic_to_joints


def test_mirrored_features_are_the_features_of_mirrored_joints():
    features = torch.randn(2, 30, 263) * 0.1
    torch.testing.assert_close(
        kinematic_to_joints(mirror_kinematic(features)),
        mirror_joints(kinematic_to_joints(features)),
        atol=1e-5,
        rtol=0,
    )


def test_mirroring_twice_is_the_identity():
    features = torch.randn(5, 263)
    assert torch.equal(mirror_kinematic(mirror_kinematic(features)), features)


@pytest.mark.parametrize(
    ("caption", "mirrored"),
    [
        ("a person raises the left hand", "a person raises the right hand"),
        ("Left, then right", "Right, then left"),
        ("turns clockwise", "turns counterclockwise"),
        ("a bright person left nothing", "a bright person right nothing"),
    ],
)
def test_captions_swap_whole_words(caption, mirrored):
    assert mirror_caption(caption) == mirrored
