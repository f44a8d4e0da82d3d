"""The two curves: closed forms."""

import numpy as np
import pytest

from motionrft.report.curves import foot_sliding, jerk
from tests.pictures.conftest import STANDING


def test_a_body_pushed_over_the_floor_slides_at_its_speed_weighted_by_contact():
    time = np.arange(20)[:, None, None] / 20
    joints = STANDING[None] + time * np.array([0.3, 0.0, 0.4])
    height = STANDING[10, 1]
    np.testing.assert_allclose(foot_sliding(joints, 20.0), 0.5 * (1 - height / 0.06), rtol=1e-6)


def test_a_body_in_the_air_does_not_slide():
    time = np.arange(20)[:, None, None] / 20
    assert foot_sliding(STANDING[None] + time * [1.0, 0, 0] + [0, 0.2, 0], 20.0).max() == 0.0


def test_jerk_of_a_cubic_is_its_third_derivative():
    time = np.arange(12)[:, None, None] / 20
    joints = STANDING[None] + time**3 * np.array([0.0, 0.0, 2.0])
    np.testing.assert_allclose(jerk(joints, 20.0), 12.0, rtol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_motions_have_calm_curves(frames):
    joints = np.repeat(STANDING[None], frames, axis=0)
    assert jerk(joints, 20.0).shape == foot_sliding(joints, 20.0).shape == (frames,)
