"""Reading motions: shapes, types, batches, and going on after a bad file."""

from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files import FileFault, Motion, iterate_motions, motion_files, read_motions, write_motion
from motionrft.files.motions import doubt
from motionrft.representations.kinematic import joints_to_kinematic
from tests.representations.people import people, rotations

JOINTS = people(15, 1)[0].numpy()
FEATURES = joints_to_kinematic(people(16, 1))[0].numpy()
ROTATION = rotations(15, 1)[0].numpy()


def saved(folder: Path, array: np.ndarray, name: str = "a.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


@pytest.mark.parametrize(
    "array",
    [
        FEATURES.astype(np.float16),
        FEATURES.astype(np.float64),
        FEATURES.astype(">f4"),
        np.asfortranarray(FEATURES),
        FEATURES[::-1][::-1],
    ],
    ids=["half", "double", "big-endian", "fortran", "strided"],
)
def test_every_number_format_gives_the_same_motion(tmp_path: Path, array: np.ndarray) -> None:
    (motion,) = read_motions(saved(tmp_path, array))
    assert motion.array.dtype == np.float32 and motion.array.flags.c_contiguous
    np.testing.assert_allclose(motion.array, FEATURES, atol=2e-3 if array.dtype == np.float16 else 1e-6)


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    (motion,) = read_motions(saved(tmp_path, np.ones((5, 263), dtype=np.int16)))
    assert motion.array.dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "representation", "fps"),
    [
        ((9, 263), "kinematic", 20),
        ((9, 251), "kinematic", 12.5),
        ((9, 22, 3), "joints", 20),
        ((9, 66), "joints", 20),
        ((9, 21, 3), "joints", 12.5),
        ((9, 135), "rotation", 20),
        ((9, 201), "hymotion", 30),
    ],
)
def test_the_shape_tells_the_representation(
    tmp_path: Path, shape: tuple[int, ...], representation: str, fps: float
) -> None:
    (motion,) = read_motions(saved(tmp_path, np.ones(shape)))
    assert (motion.representation, motion.fps, len(motion)) == (representation, fps, 9)
    batch = read_motions(saved(tmp_path, np.ones((2, *shape)), "b.npy"))
    assert [(m.index, m.batched, len(m)) for m in batch] == [(0, True, 9), (1, True, 9)]
    assert batch[0].array.ndim == (3 if representation == "joints" else 2)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((263,), "without a time axis"),
        ((9, 22), r"last axis is 22.*263 \(HumanML3D\) or 251"),
        ((9, 260), "convert FILE.bvh"),
        ((0, 263), "an empty motion"),
        ((1, 263), "has 1 frame; a motion has at least two"),
        ((9, 23, 3), "23 joints of 3"),
        ((2, 2, 2, 22, 3), "5 axes"),
    ],
)
def test_every_wrong_shape_has_its_own_message(tmp_path: Path, shape: tuple[int, ...], says: str) -> None:
    path = saved(tmp_path, np.ones(shape))
    with pytest.raises(UserError, match=says) as caught:
        read_motions(path)
    assert str(path) in str(caught.value)


def test_the_wrong_layout_names_both_and_the_command(tmp_path: Path) -> None:
    path = saved(tmp_path, np.ones((9, 135)))
    with pytest.raises(
        UserError, match=r"kinematic motion has 263 or 251.*looks like rotation.*motionrft convert"
    ):
        read_motions(path, "263")
    (motion,) = read_motions(path, "flowmdm")
    assert motion.representation == "flowmdm"


def test_not_finite_numbers_are_named_by_frame(tmp_path: Path) -> None:
    bad = FEATURES.copy()
    bad[[3, 7], 5] = np.nan
    with pytest.raises(UserError, match=r"NaN in frame 3, 7 of 15"):
        read_motions(saved(tmp_path, bad))
    bad = FEATURES.copy()
    bad[2] = np.inf
    with pytest.raises(UserError, match="infinity in frame 2"):
        read_motions(saved(tmp_path, bad))


def test_one_bad_file_among_many_is_reported_in_its_place(tmp_path: Path) -> None:
    paths = [saved(tmp_path, FEATURES, f"{number}.npy") for number in range(5)]
    paths[2].write_bytes(b"<html>")
    paths.append(tmp_path / "absent.npy")
    found = list(iterate_motions(paths))
    assert [type(item) for item in found] == [Motion, Motion, FileFault, Motion, Motion, FileFault]
    assert [item.source for item in found] == paths
    assert isinstance(found[-1], FileFault) and "no such file" in found[-1].message


def test_a_bad_motion_of_a_batch_leaves_the_others(tmp_path: Path) -> None:
    batch = np.stack([FEATURES, FEATURES, FEATURES])
    batch[1, 4] = np.nan
    found = list(iterate_motions([saved(tmp_path, batch)]))
    assert [type(item) for item in found] == [Motion, FileFault, Motion]
    assert isinstance(found[1], FileFault) and "motion 1" in found[1].message


def test_a_batch_may_carry_lengths(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", motion=np.stack([FEATURES, FEATURES]), lengths=[4, 15])
    assert [len(motion) for motion in read_motions(tmp_path / "a.npz")] == [4, 15]
    np.savez(tmp_path / "a.npz", motion=np.stack([FEATURES, FEATURES]), lengths=[4, 16])
    with pytest.raises(UserError, match="a length of 16"):
        read_motions(tmp_path / "a.npz")


def test_a_million_frames_are_refused_without_reading_them(tmp_path: Path) -> None:
    path = tmp_path / "long.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (1_000_000, 263)).flush()
    with pytest.raises(UserError, match="at most 100000"):
        read_motions(path)


def test_folders_mean_every_motion_below_sorted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    names = ["b/x.npy", "a.npz", "c.bvh", "notes.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert motion_files([tmp_path]) == [tmp_path / "a.npz", tmp_path / "b/x.npy", tmp_path / "c.bvh"]
    with pytest.raises(UserError, match="no motion file"):
        (tmp_path / "empty").mkdir()
        motion_files([tmp_path / "empty"])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".bvh"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    joints = people(40, 3)[0].float().numpy()
    path = tmp_path / f"a{suffix}"
    write_motion(path, Motion(joints, "joints", 20.0, path))
    (motion,) = read_motions(path)
    assert (motion.representation, motion.fps) == ("joints", 20.0)
    np.testing.assert_allclose(motion.array, joints, atol=1e-5)
    with pytest.raises(UserError, match="are written as"):
        write_motion(tmp_path / "a.xyz", motion)


def test_a_wanted_rate_resamples_every_format(tmp_path: Path) -> None:
    write_motion(tmp_path / "a.npz", Motion(JOINTS.astype(np.float32), "joints", 30.0, tmp_path))
    (motion,) = read_motions(tmp_path / "a.npz", fps=15)
    assert motion.fps == 15 and len(motion) == 8
    np.testing.assert_allclose(motion.array, JOINTS[::2], atol=1e-6)


@pytest.mark.parametrize(
    ("array", "representation", "suspicious"),
    [
        (FEATURES, "kinematic", False),
        ((FEATURES - FEATURES.mean(0)) / (FEATURES.std(0) + 0.05), "kinematic", True),
        (ROTATION, "rotation", False),
        (ROTATION * 3, "rotation", True),
        (JOINTS, "joints", False),
        (JOINTS * 100, "joints", True),
        (np.zeros((9, 263)), "kinematic", False),
    ],
)
def test_normalised_features_and_other_units_raise_doubt(
    array: np.ndarray, representation: str, suspicious: bool
) -> None:
    motion = Motion(array.astype(np.float32), representation, 20.0, Path("a.npy"))
    assert (doubt(motion) is not None) == suspicious
