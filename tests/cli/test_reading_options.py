"""The reading options through the executable: the same in convert, --dataset, score and eval."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.files.reading_preset import ReadingPreset
from motionrft_cli.reading import READING
from tests.cli.conftest import Result
from tests.files.skeletons import CONVENTIONS, TURNS, bvh_text, take

Run = Callable[..., Result]


def test_every_reading_option_is_a_field_and_every_field_an_option() -> None:
    own = set(ReadingPreset.model_fields) - {"seed", "device", "precision"}
    assert own == set(READING)


@pytest.mark.parametrize("command", ["convert", "score", "eval"])
def test_the_options_are_offered_everywhere(run: Run, command: str) -> None:
    text = run(command, "--help").out
    for flag in (
        "--up",
        "--unit",
        "--source-fps",
        "--joint-map",
        "--t-pose",
        "--start",
        "--split-long",
        "--cut",
    ):
        assert flag in text


def test_a_joint_map_is_printed_edited_and_used(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(bvh_text(CONVENTIONS["xsens and 3ds max"], take()))
    shown = run("convert", str(tmp_path / "a.bvh"), "--show-joint-map")
    assert shown.code == 0 and 'spine3: "Chest4"' in shown.out
    (tmp_path / "map.yaml").write_text(shown.out.replace('"Chest4"', '"Chest3"'))
    done = run("convert", str(tmp_path / "a.bvh"), "--to", "joints", "--fps", "30", "--joint-map",
               str(tmp_path / "map.yaml"), "--out", str(tmp_path / "out"))  # fmt: skip
    assert done.code == 0
    difference = np.abs(np.load(tmp_path / "out" / "a.npy") - take().joints).max(axis=(0, 2))
    assert difference[9] > 0.01 and np.delete(difference, 9).max() < 1e-3


def test_a_source_rate_is_used_by_convert_and_by_a_data_set(run: Run, tmp_path: Path) -> None:
    """A walk of 1.1 m/s at 30 fps: 45 frames are 30 at 20 fps, and 29 of features."""
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "walk.npy", take(45, 30.0).joints.astype(np.float32))
    (tmp_path / "captions.jsonl").write_text(
        json.dumps({"clip_id": "walk", "captions": ["a person walks"]}) + "\n"
    )
    (tmp_path / "splits.csv").write_text("clip_id,split\nwalk,train\n")
    assert (
        run(
            "convert",
            str(tmp_path / "in"),
            "--to",
            "joints",
            "--source-fps",
            "30",
            "--out",
            str(tmp_path / "out"),
        ).code
        == 0
    )
    assert len(np.load(tmp_path / "out" / "walk.npy")) == 30
    done = run("convert", str(tmp_path / "in"), "--dataset", "--source-fps", "30", "--captions",
               str(tmp_path / "captions.jsonl"), "--splits", str(tmp_path / "splits.csv"), "--out",
               str(tmp_path / "set"))  # fmt: skip
    assert done.code == 0, done.err
    joints = np.load(tmp_path / "set" / "new_joints" / "walk.npy")
    scale = 0.8158 / 0.81  # to the legs of the data set's skeleton
    assert len(joints) == 29
    assert np.linalg.norm(joints[-1, 0] - joints[0, 0]) / (28 / 20) == pytest.approx(1.1 * scale, rel=0.03)


def test_a_table_of_cuts_makes_a_data_set(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "long.npy", take(80, 20.0).joints.astype(np.float32))
    (tmp_path / "cuts.csv").write_text(
        "file,start,end,caption,name\nlong,0,2,a person walks,w1\nlong,2,4,a person waves,w2\n"
    )
    (tmp_path / "splits.csv").write_text("clip_id,split\nw1,train\nw2,test\n")
    done = run("convert", str(tmp_path / "in"), "--dataset", "--cut", str(tmp_path / "cuts.csv"), "--splits",
               str(tmp_path / "splits.csv"), "--out", str(tmp_path / "set"))  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "set" / "train.txt").read_text() == "w1\n"
    assert (tmp_path / "set" / "texts" / "w2.txt").read_text().startswith("a person waves#")
    assert len(np.load(tmp_path / "set" / "new_joints" / "w2.npy")) == 39


def test_what_was_turned_is_said_and_up_decides(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", (take().joints @ TURNS["z"].T).astype(np.float32))
    done = run("convert", str(tmp_path / "a.npy"), "--to", "joints", "--out", str(tmp_path / "auto"))
    assert done.code == 0 and "Z up" in done.err
    done = run(
        "convert", str(tmp_path / "a.npy"), "--to", "joints", "--up", "y", "--out", str(tmp_path / "y")
    )
    assert done.code == 0 and "near horizontal" in done.err
    scored = run("score", str(tmp_path / "a.npy"), "--terms", "physics", "--json")
    assert scored.code == 0 and "Z up" in scored.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--unit", "metres"), "--out-unit"),
        (("--set", "source_unit=inches"), "is called unit"),
        (("--up", "w"), "up"),
        (("--source-fps", "0"), "--source-fps = 0"),
        (("--start", "2", "--end", "1"), "not after start"),
        (("--cut", "none.csv"), "none.csv"),
    ],
)
def test_mistakes_are_told_in_one_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    np.save(tmp_path / "a.npy", take().joints)
    done = run(
        "convert", str(tmp_path / "a.npy"), "--to", "joints", "--out", str(tmp_path / "out"), *arguments
    )
    assert done.code == 2 and says in done.err and "Traceback" not in done.err
