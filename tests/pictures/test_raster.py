"""The rasteriser: light, depth and shadow land where they should."""

import numpy as np
from PIL import Image

from motionrft.pictures.body import BODIES, Body, Limb, figure_points
from motionrft.pictures.camera import Camera
from motionrft.pictures.raster import DARK_THEME, LIGHT_THEME, blend, draw_figure, draw_ground
from tests.pictures.conftest import STANDING

CAMERA = Camera((0.0, 0.9, 0.0), 0.0, 0.1, 6.0, 120.0, (100.0, 150.0))


def drawn(points, body, theme=LIGHT_THEME, camera=CAMERA):
    image = Image.new("RGB", (200, 300), theme.background)
    draw_figure(image, camera, points, body, theme, 0.0)
    return np.asarray(image).astype(int)


def test_left_is_warm_and_right_is_cold_in_both_themes():
    points = figure_points(STANDING[None])[0]
    for theme in (LIGHT_THEME, DARK_THEME):
        pixels = drawn(points, BODIES[22], theme)
        knees = CAMERA.project((points[[4, 5]] + points[[7, 8]]) / 2)[0].astype(int)
        left, right = (pixels[y, x] for x, y in knees)
        assert left[0] > left[2] + 40 and right[2] > right[0] + 40


def test_the_nearer_limb_hides_the_farther_whatever_the_order():
    points = np.array([[-0.3, 1, 0.4], [0.3, 1, 0.4], [0, 0.7, -0.4], [0, 1.3, -0.4]])
    near, far = Limb(0, 1, 0.05, 0.05, "left"), Limb(2, 3, 0.05, 0.05, "right")
    pictures = [
        drawn(points, Body(4, limbs, (0, 1), ((0, 1), (0, 1)), (0, 1, 2, 3), (0, 1)))
        for limbs in ((near, far), (far, near))
    ]
    np.testing.assert_array_equal(*pictures)
    x, y = CAMERA.project(np.array([0, 1, 0.4]))[0].astype(int)
    assert pictures[0][y, x, 0] > pictures[0][y, x, 2]


def test_limbs_that_cross_in_depth_hide_each_other_where_they_are_behind():
    points = np.array([[-0.3, 1, 0.4], [0.3, 1, -0.4], [-0.3, 1, -0.4], [0.3, 1, 0.4]])
    limbs = (Limb(0, 1, 0.05, 0.05, "left"), Limb(2, 3, 0.05, 0.05, "right"))
    pixels = drawn(points, Body(4, limbs, (0, 1), ((0, 1), (0, 1)), (0, 1, 2, 3), (0, 1)))
    spots = CAMERA.project(np.array([[-0.15, 1, 0.2], [0.15, 1, 0.2]]))[0].astype(int)
    warm, cold = (pixels[y, x] for x, y in spots)
    assert warm[0] > warm[2] + 40 and cold[2] > cold[0] + 40


def test_a_limb_is_lit_from_above_left():
    points = np.array([[-0.3, 1, 0.0], [0.3, 1, 0.0]])
    pixels = drawn(
        points, Body(2, (Limb(0, 1, 0.1, 0.1, "middle"),), (0, 1), ((0, 1), (0, 1)), (0, 1, 0, 1), (0, 1))
    )
    x, y = CAMERA.project(np.array([0, 1, 0.0]))[0].astype(int)
    assert pixels[y - 7, x].sum() > pixels[y + 7, x].sum() + 60


def test_the_shadow_leaves_the_feet_when_the_person_leaves_the_floor():
    def darkest_floor(lift):
        image = Image.new("RGB", (200, 300), LIGHT_THEME.background)
        draw_ground(image, CAMERA, np.zeros(3), 0.7, LIGHT_THEME, 0.0)
        draw_figure(
            image, CAMERA, figure_points(STANDING[None] + [0, lift, 0])[0], BODIES[22], LIGHT_THEME, 0.0
        )
        x, y = CAMERA.project(np.array([0.0, 0.0, 0.0]))[0].astype(int)
        return np.asarray(image)[y - 2 : y + 3, x - 3 : x + 4].astype(int).sum(-1).max()

    assert darkest_floor(0.4) < sum(LIGHT_THEME.ground) - 60


def test_a_figure_outside_the_picture_changes_nothing():
    away = Camera((50.0, 0.9, 0.0), 0.0, 0.1, 6.0, 120.0, (100.0, 150.0))
    assert (drawn(figure_points(STANDING[None])[0], BODIES[22], camera=away) == LIGHT_THEME.background).all()


def test_blend_goes_from_one_colour_to_the_other():
    assert blend((0, 0, 0), (200, 100, 50), 0.5) == (100, 50, 25)
