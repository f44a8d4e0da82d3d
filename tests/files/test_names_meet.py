"""No two results of a conversion have one name, and no clip's name leads out of its data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files.clip_names import clip_file, name_fault, read_names
from motionrft.files.conversion import Conversion, convert_files, existing_outputs
from motionrft.files.dataset import check_replaceable, read_splits
from motionrft.files.planning import Job, plan_jobs
from motionrft.files.reading import ReadingOptions
from motionrft.files.shard_file import ShardFileWriter
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


def shard(path: Path, *clips: str) -> Path:
    joints = people(20, 0)[0].float().numpy()
    path.parent.mkdir(exist_ok=True)
    with ShardFileWriter(path, {"joints": (22, 3)}) as writer:
        for clip in clips:
            writer.add(clip, {"joints": joints}, f"a man does {clip}\n")
    return path


def results(jobs: list[Job], out: Path, **options: Any) -> list[str]:
    found = [path for each in convert_files(jobs, JOINTS, **options) for path in each.outputs]
    assert len(set(found)) == len(found) and all(path.is_file() for path in found)
    return [str(path.relative_to(out)) for path in found]


def test_what_comes_of_a_shard_is_called_as_its_clips_and_found_again(tmp_path: Path) -> None:
    packed, out = shard(tmp_path / "00000.safetensors", "walk", "in/run"), tmp_path / "out"
    jobs = plan_jobs([packed], out, ".npy", ReadingOptions())
    assert results(jobs, out) == ["walk.npy", "in/run.npy"]
    assert (out / "in" / "run.txt").read_text() == "a man does in/run\n"
    assert existing_outputs(jobs, JOINTS) == [out / "walk.npy", out / "in" / "run.npy"]
    (out / "in" / "run.npy").unlink()
    assert results(jobs, out, existing="keep") == ["in/run.npy"]


def test_clips_of_shards_never_meet_each_other_nor_files(tmp_path: Path) -> None:
    files = [save(tmp_path / "walk.npy"), save(tmp_path / "y.npy", batch=2)]
    files += [shard(tmp_path / f"{name}.safetensors", "walk", "y_001", "a") for name in ("00000", "00001")]
    jobs = plan_jobs(files, tmp_path / "out", ".npy", ReadingOptions())
    made = results(jobs, tmp_path / "out")
    assert made[:6] == [
        "walk.npy",
        "y_000.npy",
        "y_001.npy",
        "00000_walk.npy",
        "00000_y_001.npy",
        "00000_a.npy",
    ]


def test_a_clips_name_in_a_shard_leads_nowhere_else(tmp_path: Path) -> None:
    packed = shard(tmp_path / "in" / "00000.safetensors", "../../evil", "good")
    jobs = plan_jobs([packed], tmp_path / "a" / "out", ".npy", ReadingOptions())
    (outcome,) = convert_files(jobs, JOINTS)
    assert "is no path below the data set" in outcome.faults[0].message
    assert [path.name for path in outcome.outputs] == ["good.npy"]


def test_a_result_of_another_kind_is_not_kept_for_this_one(tmp_path: Path) -> None:
    jobs = plan_jobs([save(tmp_path / "a.npy")], tmp_path / "out", ".npy", ReadingOptions())
    list(convert_files(jobs, JOINTS))
    (outcome,) = convert_files(jobs, Conversion("rotation"), existing="keep")
    assert "exists and is joints, not rotation" in outcome.faults[0].message and not outcome.kept


def test_the_text_of_a_motion_that_is_replaced_is_replaced(tmp_path: Path) -> None:
    for told in ("walk", "run"):
        np.savez(tmp_path / "a.npz", motion=people(20, 0)[0].float().numpy(), text=f"a man does {told}")
        jobs = plan_jobs([tmp_path / "a.npz"], tmp_path / "out", ".npy", ReadingOptions())
        list(convert_files(jobs, JOINTS, existing="replace"))
    assert (tmp_path / "out" / "a.txt").read_text() == "a man does run\n"


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
