"""Parts of files: from one second to another, tables of cuts, long captures split, and what their results are called."""

from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files.conversion import Conversion, convert_files
from motionrft.files.cuts import Cut, cuts_of, read_cuts
from motionrft.files.motions import read_motions
from motionrft.files.planning import plan_jobs
from motionrft.files.reading import ReadingOptions
from tests.files.skeletons import CONVENTIONS, bvh_text, take

JOINTS = take(60, 20.0).joints.astype(np.float32)  # 3 seconds


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    np.save(tmp_path / "walk.npy", JOINTS)
    return tmp_path / "walk.npy"


def test_start_and_end_are_seconds_of_the_file(walk: Path) -> None:
    (motion,) = read_motions(walk, options=ReadingOptions(start=0.5, end=2.0))
    assert np.array_equal(motion.array, JOINTS[10:40]) and motion.name == "walk"
    with pytest.raises(UserError, match=r"from 5 s to its end holds 0 frames of its 3 s"):
        read_motions(walk, options=ReadingOptions(start=5))


def test_seconds_count_after_a_reference_pose(tmp_path: Path) -> None:
    head, rows = bvh_text(CONVENTIONS["lafan1"], take()).split("Frame Time:")
    time, *frames = rows.strip().split("\n")
    text = (
        head.replace("Frames: 60", "Frames: 61")
        + "Frame Time:"
        + "\n".join([time, " ".join(["0"] * 69), *frames])
    )
    (tmp_path / "a.bvh").write_text(text + "\n")
    (motion,) = read_motions(tmp_path / "a.bvh", options=ReadingOptions(start=1.0))
    assert np.abs(motion.array - take().joints[30:]).max() < 1e-3


def test_long_motions_are_split_into_numbered_parts(walk: Path) -> None:
    found = read_motions(walk, options=ReadingOptions(split_long=1.25))
    assert [motion.name for motion in found] == ["walk_000", "walk_001", "walk_002"]
    assert np.array_equal(np.concatenate([motion.array for motion in found]), JOINTS)


def test_a_capture_beyond_the_limit_is_read_in_parts(tmp_path: Path) -> None:
    np.save(tmp_path / "long.npy", np.tile(JOINTS[:2], (60_000, 1, 1)))
    with pytest.raises(UserError, match=r"at most 100000 make one motion.*--split-long"):
        read_motions(tmp_path / "long.npy")
    (motion,) = read_motions(tmp_path / "long.npy", options=ReadingOptions(start=10, end=12))
    assert len(motion) == 40


def table(folder: Path, text: str) -> Path:
    (folder / "cuts.csv").write_text(text)
    return folder / "cuts.csv"


def test_a_table_of_cuts_names_parts_and_captions(walk: Path, tmp_path: Path) -> None:
    cuts = read_cuts(
        table(tmp_path, "file,start,end,caption\nwalk.npy,0,1,a person walks\nwalk,1,,a person waves\n")
    )
    first, second = read_motions(walk, options=ReadingOptions(cuts=cuts))
    assert (first.name, first.text, len(first)) == ("walk_000", "a person walks", 20)
    assert (second.name, second.text, len(second)) == ("walk_001", "a person waves", 40)
    (tmp_path / "other.npy").write_bytes(walk.read_bytes())
    assert read_motions(tmp_path / "other.npy", options=ReadingOptions(cuts=cuts)) == []


def test_humanml3ds_index_works(tmp_path: Path) -> None:
    text = "source_path,start_frame,end_frame,new_name\n./pose_data/KIT/3/kick_poses.npy,10,30,000000.npy\n"
    text += "./pose_data/MPI_HDM05/bk/x_poses.npy,0,20,000001.npy\n"
    cuts = read_cuts(table(tmp_path, text))
    (tmp_path / "amass/KIT/3").mkdir(parents=True)
    path = tmp_path / "amass/KIT/3/kick_poses.npy"
    np.save(path, JOINTS)
    (motion,) = read_motions(path, options=ReadingOptions(cuts=cuts))
    assert motion.name == "000000" and np.array_equal(motion.array, JOINTS[10:30])
    (cut,) = cuts_of(tmp_path / "MPI_HDM05/bk/x_poses.npz", cuts)
    assert (cut.start, cut.end) == (3.0, 4.0)  # HDM05 loses three seconds in front


@pytest.mark.parametrize(("fps", "step"), [(20.0, 1), (30.0, 1), (60.0, 3), (100.0, 5), (250.0, 12)])
def test_frames_of_the_index_are_counted_as_its_authors_decimate(fps: float, step: int) -> None:
    cut = Cut(start=10 / 20, end=30 / 20, indexed=True)
    assert cut.frames(10_000, fps) == (10 * step, 30 * step)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("start,end\n0,1\n", "no column file"),
        ("file,start,end\na,x,1\n", "line 2: start is 'x'"),
        ("file,start,end\na,2,1\n", "line 2: ends at 1 s, before"),
        ("file,start,end\na,0,nan\n", "line 2: end is nan"),
    ],
)
def test_mistakes_in_a_table_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_cuts(table(tmp_path, text))


def test_parts_never_meet_other_files(tmp_path: Path) -> None:
    for name in ("a", "a_000", "a_npy_001"):
        np.save(tmp_path / f"{name}.npy", JOINTS)
    options = ReadingOptions(split_long=1.0)
    jobs = plan_jobs(
        [tmp_path / f"{name}.npy" for name in ("a_000", "a", "a_npy_001")], tmp_path / "out", ".npy", options
    )
    outcomes = list(convert_files(jobs, Conversion("joints", options)))
    written = [path for outcome in outcomes for path in outcome.outputs]
    assert not any(outcome.faults for outcome in outcomes)
    assert len(set(written)) == 9 and all(path.is_file() for path in written)


def test_two_cuts_of_one_name_are_refused(walk: Path, tmp_path: Path) -> None:
    cuts = read_cuts(table(tmp_path, "file,start,end,name\nwalk,0,1,x\nwalk,1,2,x\n"))
    with pytest.raises(UserError, match="calls two results x"):
        plan_jobs([walk], tmp_path / "out", ".npy", ReadingOptions(cuts=cuts))


def test_an_existing_member_of_a_batch_is_not_overwritten(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.stack([JOINTS, JOINTS]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "y_001.npy").write_bytes(b"mine")
    jobs = plan_jobs([tmp_path / "y.npy"], tmp_path / "out", ".npy", ReadingOptions())
    (outcome,) = convert_files(jobs, Conversion("joints"))
    assert "exists" in outcome.faults[0].message
    assert (tmp_path / "out" / "y_001.npy").read_bytes() == b"mine"
    (outcome,) = convert_files(jobs, Conversion("joints"), existing="replace")
    assert len(outcome.outputs) == 2
