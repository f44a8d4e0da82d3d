"""Moving pictures: length, speed, and what happens without ffmpeg."""

import os
import stat

import numpy as np
import pytest
from PIL import Image

from motionrft.errors import RunError, UserError
from motionrft.pictures import video
from motionrft.pictures.video import ffmpeg, follow, frames, write_gif, write_mp4


def test_gif_has_every_frame_at_its_rate_and_repeats(walk, tmp_path):
    write_gif(tmp_path / "walk.gif", [walk(12)], ["a person walks"], fps=12.5)
    with Image.open(tmp_path / "walk.gif") as gif:
        assert gif.n_frames == 12
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == 80


def test_side_by_side_motions_of_different_length_end_together(walk):
    pictures = list(frames([walk(4), walk(9)], ["short", "long"], size=(120, 140)))
    assert len(pictures) == 9
    assert pictures[0].width == 240
    left = [np.asarray(picture)[40:-4, :120] for picture in (pictures[5], pictures[8])]
    np.testing.assert_array_equal(*left)


def test_sides_are_even_for_h264(walk):
    picture = next(
        frames([walk(2)], ["a caption that takes more than one line of this narrow picture"], size=(121, 141))
    )
    assert picture.height % 2 == 0


def test_the_camera_follows_smoothly_and_stays_put_for_who_stays(walk):
    roots = walk(60)[:, 0]
    track = follow(roots)
    assert track.shape == (60, 3)
    assert (track[:, 1] == 0).all()
    np.testing.assert_allclose(track[30], roots[30] * [1, 0, 1], atol=0.02)
    np.testing.assert_allclose(follow(np.ones((30, 3))), np.tile([1.0, 0.0, 1.0], (30, 1)))


def test_without_ffmpeg_the_message_says_what_to_do(walk, tmp_path, monkeypatch):
    monkeypatch.setattr(video.shutil, "which", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match="pip install imageio-ffmpeg"):
        write_mp4(tmp_path / "walk.mp4", [walk(3)])


def fake_ffmpeg(tmp_path, monkeypatch, script):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_every_frame_reaches_ffmpeg(walk, tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, 'for last; do :; done; cat > "$last"')
    write_mp4(tmp_path / "walk.mp4", [walk(5)])
    width, height = next(frames([walk(5)], size=(480, 560))).size
    assert (tmp_path / "walk.mp4").stat().st_size == 5 * width * height * 3


def test_what_ffmpeg_complains_about_is_passed_on(walk, tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, "echo 'Unknown encoder libx264' >&2; exit 1")
    with pytest.raises(RunError, match="Unknown encoder libx264"):
        write_mp4(tmp_path / "walk.mp4", [walk(5)])


def test_a_real_ffmpeg_writes_a_real_mp4(walk, tmp_path):
    try:
        ffmpeg()
    except UserError:
        pytest.skip("no ffmpeg is installed")
    write_mp4(tmp_path / "walk.mp4", [walk(6)], ["a person walks"])
    assert (tmp_path / "walk.mp4").read_bytes()[4:8] == b"ftyp"
