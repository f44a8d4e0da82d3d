"""Strips: as many poses as asked, all rows comparable, wrong input named."""

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.pictures.raster import LIGHT_THEME
from motionrft.pictures.strip import pose_frames, strip


def figures(image):
    """Number of separate columns that hold strong colours: figures standing side by side."""
    pixels = np.asarray(image).astype(int)
    strong = (pixels.max(-1) - pixels.min(-1) > 90).any(0).astype(int)
    return int((np.diff(np.concatenate([[0], strong])) == 1).sum())


def test_a_pose_for_every_panel(walk):
    for poses in (1, 3, 6):
        image = strip([walk(24, speed=0.0)], poses=poses, height=160)
        assert figures(image) >= poses
    assert strip([walk(24)], poses=6).width > 5 * strip([walk(24)], poses=1).width / 3


def test_frames_are_evenly_spaced_and_hold_both_ends():
    assert pose_frames(21, 5) == [0, 5, 10, 15, 20]
    assert pose_frames(7, 1) == [3]


def test_a_motion_of_two_frames_gives_two_poses(walk):
    assert strip([walk(2)], poses=8).width < strip([walk(8)], poses=8).width


def test_rows_have_labels_and_one_scale(walk):
    one = strip([walk(20)], height=160)
    two = strip([walk(20), walk(20)], "a person walks", ["before", "after"], height=160)
    assert two.height > 2 * 160 and two.width >= one.width
    assert np.asarray(two)[-1, 0].tolist() == list(LIGHT_THEME.background)


def test_dark_theme_is_dark(walk):
    assert np.asarray(strip([walk(3)], theme="dark")).mean() < 80


def test_mistakes_are_named(walk):
    with pytest.raises(UserError, match="no motion"):
        strip([])
    with pytest.raises(UserError, match="2 motions came with 1 label"):
        strip([walk(4), walk(4)], labels=["before"])
    with pytest.raises(UserError, match=r"after: .*frame 3"):
        broken = walk(6)
        broken[3, 5] = np.inf
        strip([walk(6), broken], labels=["before", "after"])
    with pytest.raises(UserError, match="poses"):
        strip([walk(4)], poses=0)
