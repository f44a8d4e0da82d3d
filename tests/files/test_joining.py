"""Files put after each other become one motion."""

from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files import Motion, read_motions, write_motion
from motionrft.files.conversion import Conversion
from motionrft.files.joining import join_files
from motionrft.representations.join import BLEND
from tests.representations.people import people


def saved(path: Path, frames: int, seed: int, fps: float = 20.0) -> Path:
    write_motion(path, Motion(people(frames, seed)[0].float().numpy(), "joints", fps, path))
    return path


def test_files_of_different_kinds_and_rates_join_at_one_rate(tmp_path: Path) -> None:
    paths = [saved(tmp_path / "a.npy", 40, 0), saved(tmp_path / "b.bvh", 61, 1, fps=30.0)]
    out = tmp_path / "both.npy"
    motion = join_files(paths, out, Conversion("joints"))
    assert motion.fps == 20.0 and len(motion) == 40 + 41 - BLEND
    np.testing.assert_array_equal(np.load(out), motion.array)
    assert np.abs(np.diff(motion.array, axis=0)).max() < 0.5, "nothing jumps at the seam"


def test_the_result_is_written_in_any_format(tmp_path: Path) -> None:
    paths = [saved(tmp_path / "a.npy", 30, 0), saved(tmp_path / "b.npy", 30, 1)]
    motion = join_files(paths, tmp_path / "both.bvh", Conversion("bvh"))
    assert len(read_motions(tmp_path / "both.bvh")[0]) == len(motion) == 60 - BLEND


def test_one_motion_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--join takes two or more"):
        join_files([saved(tmp_path / "a.npy", 30, 0)], tmp_path / "out.npy", Conversion("joints"))


def test_arms_over_a_body_are_of_two_motions(tmp_path: Path) -> None:
    walk, stands = saved(tmp_path / "a.npy", 60, 1), tmp_path / "b.npy"
    still = np.repeat(people(1, 4)[0].float().numpy(), 40, axis=0)
    write_motion(stands, Motion(still, "joints", 20.0, stands))
    motion = join_files([walk, stands], tmp_path / "both.npy", Conversion("joints"), together=True)
    np.testing.assert_allclose(motion.array[:, 0], np.load(walk)[:, 0], atol=1e-5)
    with pytest.raises(UserError, match="3 motions; --meanwhile"):
        join_files([walk, stands, stands], tmp_path / "more.npy", Conversion("joints"), together=True)


@pytest.mark.parametrize("given, rate, frames", [(None, 60.0, 45 + 60 - 24), (30.0, 30.0, 23 + 30 - 12)])
def test_files_of_one_rate_are_joined_at_it_over_the_same_time(
    tmp_path: Path, given: float | None, rate: float, frames: int
) -> None:
    paths = [saved(tmp_path / "a.bvh", 45, 0, 60.0), saved(tmp_path / "b.bvh", 60, 1, 60.0)]
    motion = join_files(paths, tmp_path / "both.bvh", Conversion("bvh", fps=given))
    assert (motion.fps, len(motion)) == (rate, frames)


def test_what_keeps_its_own_rate_keeps_it_joined(tmp_path: Path) -> None:
    from tests.representations.test_kinematic import kit_people

    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path in paths:
        np.save(path, kit_people(30, 0)[0][0].float().numpy())
    motion = join_files(paths, tmp_path / "both.npy", Conversion("joints"))
    assert motion.fps == read_motions(tmp_path / "both.npy")[0].fps == 12.5
    assert len(motion) == 60 - 5


@pytest.mark.parametrize(
    "texts, told",
    [
        (("a person walks", "a person bows"), "a person walks, then bows"),
        (("a tired person walks", "someone bows"), "a person walks, then bows"),
        (("a person walks", ""), None),
        (("walking", "a person bows"), None),
    ],
)
def test_a_joined_motion_says_what_all_of_it_shows(
    tmp_path: Path, texts: tuple[str, str], told: str | None
) -> None:
    paths = [saved(tmp_path / f"{name}.npy", 30, seed) for seed, name in enumerate("ab")]
    for path, text in zip(paths, texts, strict=True):
        if text:
            path.with_suffix(".txt").write_text(text + "\n")
    assert join_files(paths, tmp_path / "both.npy", Conversion("joints")).text == told
    assert (tmp_path / "both.txt").exists() == (told is not None)
