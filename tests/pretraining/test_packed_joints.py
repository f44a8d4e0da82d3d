"""A packed copy gives every clip back, with its words and its split."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.pretraining.packed_joints import STEP, Source, pack, unpack
from tests.representations.people import people


def source(folder: Path, name: str, clips: dict[str, np.ndarray]) -> Source:
    (folder / name).mkdir(parents=True)
    for clip, joints in clips.items():
        np.save(folder / name / f"{clip}.npy", joints)
    lines = [json.dumps({"clip_id": clip, "captions": [f"{clip} walks"]}) for clip in clips]
    (folder / f"{name}.jsonl").write_text("\n".join(lines))
    rows = [f"{clip},walk,calm,train" for clip in clips]
    (folder / f"{name}.csv").write_text("clip_id,content,style,strict\n" + "\n".join(rows))
    return Source(name, folder / name, folder / f"{name}.jsonl", folder / f"{name}.csv", "strict")


def clip(frames: int, seed: int) -> np.ndarray:
    return people(frames, seed)[0].float().numpy() + np.float32([3.0, 0.0, -7.0])


def test_unpacked_joints_are_the_packed_ones_to_half_a_step(tmp_path: Path) -> None:
    clips = {"a": clip(30, 0), "b": clip(21, 1)}
    one, other = source(tmp_path, "one", clips), source(tmp_path, "other", {"c": clip(5, 2)})
    assert pack([one, other], tmp_path / "packed.tar.xz") == {"one": 2, "other": 1}
    unpack(tmp_path / "packed.tar.xz", tmp_path / "out")
    for name, joints in clips.items():
        again = np.load(tmp_path / "out" / "joints" / f"{name}.npy")
        np.testing.assert_allclose(again, joints, rtol=0, atol=STEP / 2 + 1e-6)
    with open(tmp_path / "out" / "splits.csv", newline="") as file:
        rows = {row["clip_id"]: row for row in csv.DictReader(file)}
    assert (rows["c"]["source"], rows["c"]["split"], rows["a"]["content"]) == ("other", "train", "walk")
    words = [json.loads(line) for line in (tmp_path / "out" / "captions.jsonl").read_text().splitlines()]
    assert {"clip_id": "b", "captions": ["b walks"]} in words


def test_two_sources_with_one_clip_name_are_refused(tmp_path: Path) -> None:
    sources = [source(tmp_path, name, {"a": clip(10, 0)}) for name in ("one", "other")]
    with pytest.raises(UserError, match="the clip a is in another source already"):
        pack(sources, tmp_path / "packed.tar.xz")


def test_another_file_is_no_packed_copy(tmp_path: Path) -> None:
    (tmp_path / "x.tar.xz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="not a packed copy"):
        unpack(tmp_path / "x.tar.xz", tmp_path / "out")
    assert not (tmp_path / "out").exists()
