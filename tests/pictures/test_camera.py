"""The camera: what is where on the picture."""

import numpy as np
import pytest

from motionrft.pictures.camera import Camera, framing
from tests.pictures.conftest import STANDING

FRONT = Camera((0.0, 1.0, 0.0), 0.0, 0.0, 6.0, 100.0, (150.0, 200.0))


def test_target_is_in_the_middle_and_up_is_up():
    spots, depth, scale = FRONT.project(np.array([[0, 1, 0], [0, 1.5, 0], [0.5, 1, 0], [0, 1, 1]]))
    np.testing.assert_allclose(spots[:3], [[150, 200], [150, 150], [200, 200]])
    assert depth[3] == pytest.approx(1.0) and scale[3] == pytest.approx(100 * 6 / 5)


def test_axes_are_orthonormal_and_right_handed():
    axes = Camera((0.0, 0.0, 0.0), 1.1, 0.4, 6.0, 1.0, (0.0, 0.0)).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-12)


@pytest.mark.parametrize("size", [(300, 300), (200, 400), (900, 300)])
def test_the_whole_person_is_in_the_picture(walk, size):
    motion = walk(40)
    scene = framing([motion], [motion[:, 0]])
    for frame in motion:
        spots = scene.camera(*size, frame[0]).project(frame)[0]
        assert (spots >= 0).all() and (spots <= size).all()


def test_turning_the_person_turns_the_camera(walk):
    motion = walk(10, speed=0.0)
    turned = motion[..., [2, 1, 0]] * [1, 1, -1]  # a quarter turn about Y
    views = []
    for one in (motion, turned):
        scene = framing([one], [one[:, 0]])
        views.append(scene.camera(200, 300, one[0, 0]).project(one[0])[0])
    np.testing.assert_allclose(views[0], views[1], atol=1e-6)


def test_the_left_hand_is_on_the_right_of_a_picture_from_the_front():
    scene = framing([STANDING[None]], [STANDING[None, 0]])
    spots = scene.camera(200, 300, STANDING[0]).project(STANDING)[0]
    assert spots[20, 0] > spots[21, 0]
