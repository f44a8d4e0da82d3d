"""Data sets in shards: the same clips as in files of their own, and what is wrong with a shard in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from motionrft.checking.data import data_facts
from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.files import shards
from motionrft.files.hold_out import HeldOutClass, hold_out
from motionrft.files.motions import motion_files, read_motions, stream_motions
from motionrft.files.packing import repack
from motionrft.files.reading import ReadingOptions
from motionrft.files.shard_file import ShardFile
from motionrft.files.shards import open_clips
from tests.data.conftest import LABELS, folder  # noqa: F401 - a fixture


@pytest.fixture
def packed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """The six clips in three shards; one of them has joints too."""
    (folder / "new_joints").mkdir()
    np.save(folder / "new_joints" / "000003.npy", np.ones((35, 22, 3), np.float32))
    monkeypatch.setattr(shards, "LARGEST", 70 * 263 * 4)
    found = repack(folder, folder.parent / "packed", "shards")
    assert found.clips == len(LABELS) and not found.left_out
    return folder.parent / "packed"


def test_a_split_is_the_same_from_files_and_from_shards(folder: Path, packed: Path) -> None:  # noqa: F811
    loose, sharded = MotionDataset(folder, "train"), MotionDataset(packed, "train")
    assert len(list((packed / "shards").iterdir())) == 3 and not (packed / "texts").exists()
    assert list(loose.items) == list(sharded.items) and len(loose) == 7
    assert loose.labels is not None and torch.equal(loose.labels, sharded.labels)
    assert (loose.fps, loose.skeleton, loose.representations) == (
        sharded.fps, sharded.skeleton, sharded.representations,
    )  # fmt: skip
    for item in range(len(loose)):
        assert torch.equal(loose.motion(item), sharded.motion(item))
    assert torch.equal(loose.motion(3, "joints"), sharded.motion(3, "joints"))
    with pytest.raises(UserError, match="no joints motion of the clip '000001'"):
        sharded.motion(1, "joints")


def test_back_in_files_it_is_the_set_that_it_was(folder: Path, packed: Path) -> None:  # noqa: F811
    repack(packed, packed.parent / "back", "folders")
    before, after = MotionDataset(folder, "train"), MotionDataset(packed.parent / "back", "train")
    assert before.identity == after.identity


def test_whoever_asks_about_a_set_sees_its_shards(packed: Path) -> None:
    facts = data_facts(packed)
    assert facts["layout"] == "shards" and facts["splits"] == {"train": 6} and not facts["missing"]
    assert facts["values_a_frame"] == {"kinematic": 263, "joints": 66} and facts["skeleton"] == "HumanML3D"
    (packed / "test.txt").write_text("000001\n")
    (packed / "val.txt").write_text("000002\n")
    assert hold_out(packed, HeldOutClass("caption", "clip 1")) == {
        "train-without-clip-1": 5, "val-without-clip-1": 1, "tune-clip-1": 1, "test-clip-1": 1,
    }  # fmt: skip
    assert len(MotionDataset(packed, "tune-clip-1")) == 1


def test_what_is_not_finite_stays_behind_and_is_told(folder: Path) -> None:  # noqa: F811
    np.save(folder / "new_joint_vecs" / "000002.npy", np.full((30, 263), np.nan, np.float32))
    found = repack(folder, folder.parent / "packed", "shards")
    assert found.clips == 5 and "000002.npy" in found.left_out[0]
    with pytest.raises(UserError, match="exists"):
        repack(folder, folder.parent / "packed", "shards")


def test_the_identity_follows_a_motion_without_reading_any(folder: Path, packed: Path) -> None:  # noqa: F811
    before = MotionDataset(packed, "train").identity
    assert MotionDataset(packed, "train").identity == before
    motion = np.load(folder / "new_joint_vecs" / "000004.npy")
    motion[20, 7] += 0.5
    np.save(folder / "new_joint_vecs" / "000004.npy", motion)
    repack(folder, folder.parent / "other", "shards")
    assert MotionDataset(folder.parent / "other", "train").identity != before


def test_a_shard_is_plain_safetensors_and_a_batch_of_motions(packed: Path) -> None:
    path = packed / "shards" / "00000.safetensors"
    with safe_open(path, "np") as file:
        frames = file.get_tensor("frames")
        assert file.get_tensor("values").size == int((frames * [263, 66]).sum())
    assert motion_files([packed / "shards"])[0] == path
    motions = read_motions(path)
    assert [motion.text for motion in motions][:2] == ["clip 0", "clip 1"]
    assert np.array_equal(motions[1].array, open_clips(packed).read("000001", "kinematic"))


@pytest.mark.parametrize("layout", ["files", "shards"])
def test_a_clip_by_itself_has_the_rate_of_its_data_set(folder: Path, packed: Path, layout: str) -> None:  # noqa: F811
    root = folder if layout == "files" else packed
    path = root / ("new_joint_vecs/000001.npy" if layout == "files" else "shards/00000.safetensors")
    assert read_motions(path)[0].fps == 20
    (root / "dataset.json").write_text('{"fps": 30}')
    assert read_motions(path)[0].fps == 30
    assert read_motions(path, options=ReadingOptions(source_fps=25))[0].fps == 25
    (root / "dataset.json").write_text('{"fps": "thirty"}')
    with pytest.raises(UserError, match=r"dataset\.json: fps is 'thirty'"):
        read_motions(path)


def test_samples_by_themselves_have_the_rate_that_they_were_sampled_at(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((40, 263), np.float32))
    (tmp_path / "sampling.json").write_text('{"fps": 30.0, "seed": 0}')
    (motion,) = read_motions(tmp_path / "a.npy")
    assert motion.fps == 30 and motion.rate_note is None


def _shorter(root: Path) -> None:
    path = root / "shards" / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _another_bit(root: Path) -> None:
    path = root / "shards" / "00000.safetensors"
    data = bytearray(path.read_bytes())
    data[4096 + 1000] ^= 1
    path.write_bytes(data)


def _gone(root: Path) -> None:
    (root / "shards" / "00002.safetensors").unlink()


def _twice(root: Path) -> None:
    shutil.copyfile(root / "shards" / "00000.safetensors", root / "shards" / "00001.safetensors")
    _indexed(root, 1, bytes=(root / "shards" / "00000.safetensors").stat().st_size)


def _out_of_the_set(root: Path) -> None:
    _indexed(root, 0, file="../../elsewhere.safetensors")


def _linked(root: Path) -> None:
    path = root / "shards" / "00000.safetensors"
    path.rename(root.parent / "elsewhere.safetensors")
    path.symlink_to(root.parent / "elsewhere.safetensors")


def _another_version(root: Path) -> None:
    index = json.loads((root / "shards.json").read_text())
    (root / "shards.json").write_text(json.dumps(index | {"version": "9"}))


def _indexed(root: Path, number: int, **changed: object) -> None:
    index = json.loads((root / "shards.json").read_text())
    index["shards"][number] |= changed
    (root / "shards.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_shorter, r"shards\.json: .*00001\.safetensors has [\d,]+ bytes, [\d,]+ are expected: damaged"),
        (
            _another_bit,
            r"00000\.safetensors: damaged: the kinematic motion of the clip '000000' \(byte 4,096\)",
        ),
        (_gone, r"00002\.safetensors is missing"),
        (_twice, r"the clip '000000' is in both"),
        (_out_of_the_set, r"shards\.json: the shard '\.\./\.\./elsewhere.safetensors' is no name"),
        (_linked, r"shards\.json: the shard '00000.safetensors' is a link that leads out"),
        (_another_version, r"shards\.json: format 'motionrft clips', version '9'"),
    ],
)
def test_a_damaged_set_is_told_in_one_line(packed: Path, change, said: str) -> None:
    change(packed)
    with pytest.raises(UserError, match=said) as told:
        found = MotionDataset(packed, "train")
        for item in range(len(found)):
            found.motion(item)
    assert len(str(told.value).splitlines()) == 1


def test_a_damaged_clip_costs_itself_in_a_batch(packed: Path) -> None:
    _another_bit(packed)
    found = list(stream_motions(packed / "shards" / "00000.safetensors", ReadingOptions()))
    assert "does not fit its checksum" in found[0].message
    assert [motion.index for motion in found[1:]] == [1, 2]


def test_an_unfinished_shard_is_none(tmp_path: Path) -> None:
    from motionrft.files.shard_file import ShardFileWriter

    with pytest.raises(KeyboardInterrupt), ShardFileWriter(tmp_path / "a", {"kinematic": (263,)}) as writer:
        writer.add("walk", {"kinematic": np.zeros((20, 263), np.float32)}, "a man walks\n")
        raise KeyboardInterrupt
    with pytest.raises(UserError, match="a: "):
        ShardFile(tmp_path / "a")
