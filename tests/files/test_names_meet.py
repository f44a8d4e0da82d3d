"""No two results of a conversion have one name, and no clip's name leads out of its data set."""

from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files.clip_names import clip_file, name_fault, read_names
from motionrft.files.conversion import Conversion, convert_files, existing_outputs
from motionrft.files.dataset import check_replaceable, read_splits
from motionrft.files.planning import plan_jobs
from motionrft.files.reading import ReadingOptions
from tests.representations.people import people

JOINTS = Conversion("joints")


def save(path: Path, batch: int | None = None) -> Path:
    joints = people(20, 0)[0].float().numpy()
    np.save(path, joints if batch is None else np.stack([joints] * batch))
    return path


@pytest.mark.parametrize("order", [("y", "y_000"), ("y_000", "y")])
def test_members_of_a_batch_never_meet_other_files(tmp_path: Path, order: tuple[str, str]) -> None:
    files = {"y": save(tmp_path / "y.npy", batch=2), "y_000": save(tmp_path / "y_000.npy")}
    jobs = plan_jobs([files[name] for name in order], tmp_path / "out", ".npy", ReadingOptions())
    written = [path for outcome in convert_files(jobs, JOINTS) for path in outcome.outputs]
    assert len(set(written)) == 3 and all(path.is_file() for path in written)
    assert tmp_path / "out" / "y_000.npy" in written


def test_single_files_with_numbers_keep_their_names(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{name}.npy") for name in ("y", "y_000", "y_001")]
    jobs = plan_jobs(files, tmp_path / "out", ".npy", ReadingOptions())
    assert [job.stem.name for job in jobs] == ["y", "y_000", "y_001"]


def test_any_member_of_a_batch_that_is_there_counts_as_there(tmp_path: Path) -> None:
    jobs = plan_jobs([save(tmp_path / "y.npy", batch=2)], tmp_path / "out", ".npy", ReadingOptions())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "y_001.npy").write_bytes(b"mine")
    assert existing_outputs(jobs, JOINTS) == [tmp_path / "out" / "y_001.npy"]


def test_a_batch_cut_short_is_finished_on_resume(tmp_path: Path) -> None:
    jobs = plan_jobs([save(tmp_path / "y.npy", batch=3)], tmp_path / "out", ".npy", ReadingOptions())
    list(convert_files(jobs, JOINTS))
    (tmp_path / "out" / "y_001.npy").unlink()
    (outcome,) = convert_files(jobs, JOINTS, existing="keep")
    assert [path.name for path in outcome.outputs] == ["y_001.npy"] and outcome.skipped


@pytest.mark.parametrize(
    "clip", ["../x", "a/../../x", "/etc/x", "", " a", "a ", "a\nb", "a\x1b[2J", ".", "a//b"]
)
def test_names_that_lead_elsewhere_are_no_names(clip: str) -> None:
    assert name_fault(clip) is not None


@pytest.mark.parametrize("clip", ["a", "walk one", "sub/walk", "Läufer", "..a", "a\u2028b"])
def test_ordinary_names_are_names(clip: str) -> None:
    assert name_fault(clip) is None


def test_a_list_has_one_name_a_line(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbfwalk one\r\n\r\nwalk two\r\n")
    assert read_names(tmp_path / "train.txt") == ["walk one", "walk two"]
    (tmp_path / "train.txt").write_text("a\n../b\n")
    with pytest.raises(UserError, match=r"train\.txt: line 2: the clip name '\.\./b'"):
        read_names(tmp_path / "train.txt")


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "mine").mkdir()
    save(tmp_path / "mine" / "walk.npy")
    (tmp_path / "set" / "a.npy").symlink_to(tmp_path / "mine" / "walk.npy")
    (tmp_path / "set" / "sub").symlink_to(tmp_path / "mine")
    for clip in ("a", "sub/walk"):
        with pytest.raises(UserError, match="leads out"):
            clip_file(tmp_path / "set", clip)
    assert clip_file(tmp_path / "mine", "walk").is_file()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,train\na,test\n", "line 3: the clip 'a' has another row"),
        ("a,train,more\n", "line 2: 3 cells"),
        ("a\n", "line 2: 1 cells"),
        ("../a,train\n", "line 2: the clip_id '../a'"),
        ("a,training\n", "line 2: split is 'training'"),
        ('"a,train\n', "line 2: no valid CSV"),
    ],
)
def test_rows_of_a_split_file_that_mean_nothing_are_named(tmp_path: Path, rows: str, said: str) -> None:
    (tmp_path / "s.csv").write_text(f"clip_id,split\n{rows}")
    with pytest.raises(UserError, match=said):
        read_splits(tmp_path / "s.csv", "split")


def test_only_a_data_set_is_replaced_by_a_data_set(tmp_path: Path) -> None:
    out = tmp_path / "data"
    (out / "texts").mkdir(parents=True)
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds no data set of ours"):
        check_replaceable(out)
    (out / "dataset.json").write_text("{}")
    (out / "train.txt").write_text("a\n")
    (out / "texts" / "a.txt").write_text("a person walks\n")
    with pytest.raises(UserError, match=r"holds thesis\.tex beside"):
        check_replaceable(out)
    (out / "thesis.tex").unlink()
    check_replaceable(out)
