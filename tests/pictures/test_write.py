"""The one door: the ending chooses the kind, and nothing is left behind when something is wrong."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from motionrft.errors import UserError
from motionrft.pictures import write_picture, write_strip
from motionrft.pictures.kinds import PICTURES


@pytest.mark.parametrize("kind", ["png", "gif", "html"])
def test_every_kind_is_written_by_its_ending(walk, tmp_path, kind):
    path = write_picture(tmp_path / "deep" / f"walk.{kind}", [walk(4)], ["a person walks"])
    assert path.stat().st_size > 1000
    if kind != "html":
        with Image.open(path) as image:
            assert image.format == kind.upper()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_format_wins_over_the_ending(walk, tmp_path):
    path = write_picture(tmp_path / "walk.picture", [walk(3)], format="png")
    with Image.open(path) as image:
        assert image.format == "PNG"


def test_several_motions_in_every_still_kind(walk, tmp_path):
    for kind in ("png", "html"):
        write_picture(tmp_path / f"two.{kind}", [walk(3), walk(5)], ["one", "two"])


def test_a_strip_of_before_and_after_has_its_caption(walk, tmp_path):
    path = write_strip(
        tmp_path / "plots" / "best.png", [walk(4), walk(4)], "a person walks", ["before", "after"]
    )
    bare = write_strip(tmp_path / "bare.png", [walk(4), walk(4)])
    with Image.open(path) as image, Image.open(bare) as other:
        assert image.format == "PNG" and image.height > other.height + 40


@pytest.mark.parametrize(
    ("name", "fps", "says"),
    [
        ("walk.bmp", 20.0, "choose one of"),
        ("walk", 20.0, "choose one of"),
        ("walk.gif", 0.0, "frames a second"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(walk, tmp_path, name, fps, says):
    with pytest.raises(UserError, match=says):
        write_picture(tmp_path / name, [walk(3)], fps=fps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [kind for kind in PICTURES if kind != "mp4"])
def test_a_broken_motion_leaves_no_file(tmp_path, kind):
    with pytest.raises(UserError, match="NaN"):
        write_picture(tmp_path / f"broken.{kind}", [np.full((3, 22, 3), np.nan)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [0.0, 1e-6, 100.0, 1e6])
@pytest.mark.filterwarnings("error")
def test_motions_that_fell_apart_are_drawn_all_the_same(tmp_path, scale):
    """A page about a broken model must not break."""
    joints = np.random.default_rng(0).normal(0, 1, (3, 22, 3)) * scale
    for kind in ("png", "gif", "html"):
        assert write_picture(tmp_path / f"odd.{kind}", [joints]).stat().st_size


def test_pictures_do_not_load_torch():
    modules = "motionrft.pictures, motionrft.report.page, motionrft.report.study"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
