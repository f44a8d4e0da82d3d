"""convert through the executable: many files, broken ones, lists, and nothing clobbered."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.files import Motion, write_motion
from tests.cli.conftest import Result
from tests.representations.people import people

Run = Callable[..., Result]
JOINTS = people(12, 1)[0].float().numpy()


def person(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_motion(path, Motion(JOINTS, "joints", 20.0, path))
    return path


@pytest.mark.executable
def test_a_thousand_files_with_three_broken_ones(execute: Run, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for folder in range(10):
        (source / str(folder)).mkdir(parents=True)
        for number in range(100):
            np.save(source / str(folder) / f"{number:03d}.npy", JOINTS)
    nan = JOINTS.copy()
    nan[4] = np.nan
    np.save(source / "2/017.npy", nan)
    (source / "5/001.npy").write_bytes(b"<html>")
    (source / "7/099.npy").write_bytes((source / "7/098.npy").read_bytes()[:200])
    done = execute("convert", "in", "--to", "kinematic", "--out", "out", "--jobs", "2")
    assert done.code == 3 and done.out == ""
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 3
    assert "in/2/017.npy" in errors[0] and "NaN in frame 4 of 12" in errors[0]
    assert "web page" in errors[1] and "truncated" in errors[2]
    assert len(list((tmp_path / "out").rglob("*.npy"))) == 997
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_nothing_is_overwritten_unasked(run: Run, tmp_path: Path) -> None:
    person(tmp_path / "in/a.npy")
    arguments = ("convert", str(tmp_path / "in"), "--to", "rotation", "--out", str(tmp_path / "out"))
    assert run(*arguments).code == 0
    again = run(*arguments)
    assert again.code == 2 and "--overwrite" in again.err
    person(tmp_path / "in/b.npy")
    before = (tmp_path / "out/a.npy").stat().st_mtime_ns
    assert run(*arguments, "--resume").code == 0
    assert (tmp_path / "out/a.npy").stat().st_mtime_ns == before and (tmp_path / "out/b.npy").exists()
    assert run(*arguments, "--overwrite").code == 0
    assert (tmp_path / "out/a.npy").stat().st_mtime_ns != before


@pytest.mark.executable
def test_a_list_on_standard_input_with_odd_names(execute: Run, tmp_path: Path) -> None:
    names = ["plain", "with space", "new\nline", "-dash", os.fsdecode(b"\xff\xfe")]
    for name in names:
        np.save(tmp_path / f"{name}.npy", JOINTS)
    listed = "\0".join(f"./{name}.npy" for name in names[:4]) + "\0"
    done = execute("convert", "-", "--null", "--to", "22x3", "--out", "out", "--json", stdin=listed)
    assert done.code == 0
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(row["outputs"][0]).stem for row in rows] == names[:4]
    odd = execute(
        "convert", "--to", "22x3", "--out", "odd", "--", "-dash.npy", os.fsencode(f"{names[4]}.npy")
    )
    assert odd.code == 0 and len(list((tmp_path / "odd").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a.npy", "--out", "out"), "--to is missing"),
        (("a.npy", "--to", "joints"), "--out DIR is missing"),
        (("a.npy", "--to", "fbx", "--out", "out"), "--to fbx: unknown"),
        (("none.npy", "--to", "joints", "--out", "out"), "none.npy: no such file"),
        (("a.npy", "--to", "joints", "--out", "a.npy/x"), "is a file, not a folder"),
        (("a.npy", "--to", "joints", "--from", "264", "--out", "out"), "unknown representation '264'"),
        (("a.npy", "--to", "joints", "--from", "263", "--out", "out"), "a kinematic motion has 263 or 251"),
        (("*.bvh", "--to", "joints", "--out", "out"), "nothing matches"),
        ((".", "--dataset", "--out", "out"), "--captions FILE.jsonl is missing"),
        ((".", "--check"), "no data set in HumanML3D's layout"),
        (("a.npy", "--to", "joints", "--joint-map", "a.npy", "--out", "out"), "is not UTF-8"),
        (("a.npy", "a.npy", "--join", "--to", "joints", "--out", "j.bvh"), "--to joints writes .npy"),
        (("a.npy", "a.npy", "--meanwhile", "--to", "joints", "--out", "j.npy"), "add --join"),
    ],
)
def test_mistakes_end_in_one_line_and_nothing_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    person(tmp_path / "a.npy")
    done = run("convert", *arguments)
    assert done.code == 2 and says in done.err
    assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_a_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    person(tmp_path / "in/a.npy")
    done = run("convert", str(tmp_path / "in"), "--to", "bvh", "--out", str(tmp_path / "out"), "--dry-run")
    assert done.code == 0 and "nothing written" in done.err
    assert not (tmp_path / "out").exists()


def test_a_data_set_in_one_command_then_checked(run: Run, tmp_path: Path) -> None:
    for clip in "abc":
        person(tmp_path / f"in/{clip}.npy")
    (tmp_path / "c.jsonl").write_text(
        "".join(f'{{"clip_id": "{clip}", "captions": ["hi"]}}\n' for clip in "abc")
    )
    (tmp_path / "s.csv").write_text("clip_id,split\na,train\nb,val\nc,test\n")
    flags = (
        "--captions",
        str(tmp_path / "c.jsonl"),
        "--splits",
        str(tmp_path / "s.csv"),
        "--set",
        "min_frames=8",
    )
    out = str(tmp_path / "data")
    built = run("convert", str(tmp_path / "in"), "--dataset", *flags, "--out", out, "--json")
    assert built.code == 0 and json.loads(built.out)["splits"] == {"train": 1, "val": 1, "test": 1}
    checked = run("convert", out, "--check", "--json")
    assert checked.code == 0 and json.loads(checked.out)["problems"] == {}
    for place, layout in ((out, "shards"), (f"{out}-shards", "folders")):
        there = f"{place}-{layout}"
        packed = run("convert", place, "--dataset", "--set", f"layout={layout}", "--out", there, "--json")
        assert packed.code == 0 and json.loads(packed.out)["clips"] == 3
    assert (tmp_path / "data/texts/b.txt").read_bytes() == (Path(there) / "texts/b.txt").read_bytes()
    (tmp_path / "data/texts/b.txt").unlink()
    assert run("convert", out, "--check").code == 3
    for flag in ("--mirror", "--fps=30", "--set=compose={pairs: {train: 1}}"):
        refused = run("convert", out, "--dataset", flag)
        assert refused.code == 2 and "acts where a data set is built" in refused.err
    completed = run("convert", out, "--dataset")
    assert completed.code == 3 and "0 clips completed" in completed.err
