"""HumanML3D's folder: items, parts of clips, labels, and what is said when something is missing."""

import numpy as np
import pytest
import torch

from motionrft.data import Caption, MotionDataset
from motionrft.data.items import Items
from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays
from motionrft.training import fingerprints


def test_a_caption_with_times_makes_an_item_of_its_own(folder):
    items = MotionDataset(folder, "train").items
    assert len(items) == 7
    part = items[-1]
    assert (part.start, part.end, [c.text for c in part.captions]) == (20, 40, ["only a part"])
    assert [c.text for c in items[5].captions] == ["clip 5", "again 5"]


def test_motion_is_the_stored_part(folder):
    dataset = MotionDataset(folder, "train")
    stored = np.load(folder / "new_joint_vecs" / "000005.npy")
    assert np.array_equal(dataset.motion(6).numpy(), stored[20:40])


def test_items_too_short_are_left_out_and_too_long_are_cut(folder):
    dataset = MotionDataset(folder, "train", min_frames=26, max_frames=40)
    assert dataset.lengths.tolist() == [30, 35, 40, 40]


def test_labels_are_equal_for_equal_content_and_style(folder):
    labels = MotionDataset(folder, "train").labels.tolist()
    assert labels[0] == labels[1] == labels[2]
    assert len(set(labels)) == 4


def test_without_an_index_there_are_no_labels(folder):
    (folder / "index.csv").unlink()
    assert MotionDataset(folder, "train").labels is None


def test_identity_changes_with_the_captions(folder):
    before = MotionDataset(folder, "train").identity
    assert MotionDataset(folder, "train").identity == before
    (folder / "texts" / "000000.txt").write_text("something else##0.0#0.0\n")
    assert MotionDataset(folder, "train").identity != before


@pytest.mark.parametrize("whole", [True, False], ids=["whole files", "samples"])
def test_identity_changes_with_a_motion(folder, monkeypatch, whole):
    if not whole:
        monkeypatch.setattr(fingerprints, "WHOLE", 1000)
    before = MotionDataset(folder, "train").identity
    assert before.endswith("-sampled") is not whole
    path = folder / "new_joint_vecs" / "000003.npy"
    motion = np.load(path)
    motion[len(motion) // 2 :, 7] += 0.5
    np.save(path, motion)
    assert MotionDataset(folder, "train").identity != before


def test_a_clip_with_nan_is_left_out_and_said(folder):
    before = MotionDataset(folder, "train")
    motion = np.load(folder / "new_joint_vecs" / "000000.npy")
    motion[3, 5] = np.nan
    np.save(folder / "new_joint_vecs" / "000000.npy", motion)
    after = MotionDataset(folder, "train")
    assert len(after) == len(before) - 1 and not before.left_out
    assert "NaN in frame 3" in after.left_out[0]


def test_a_folder_opened_again_is_read_again_only_where_it_has_changed(folder, monkeypatch):
    read = []
    monkeypatch.setattr(
        "motionrft.files.clip_store.read_arrays", lambda path: read.append(path) or read_arrays(path)
    )
    first = MotionDataset(folder, "train")
    assert len(read) > len(first.items) - 2
    read.clear()
    assert MotionDataset(folder, "train").items is first.items
    assert {path.stem for path in read} <= {"000000"}  # which tells the skeleton
    motion = np.load(folder / "new_joint_vecs" / "000003.npy")
    np.save(folder / "new_joint_vecs" / "000003.npy", np.concatenate((motion, motion)))
    again = MotionDataset(folder, "train")
    assert sum(again.lengths.tolist()) > sum(first.lengths.tolist())
    (folder / "texts" / "000002.txt").write_text("told anew\n")
    assert "told anew" in MotionDataset(folder, "train").texts


def test_a_clip_listed_twice_is_told_with_its_line(folder):
    with (folder / "train.txt").open("a") as file:
        file.write("000002\n")
    with pytest.raises(UserError, match=r"train\.txt: line 7: the clip '000002' is in line 3 already"):
        MotionDataset(folder, "train")


def test_what_is_expected_is_read_by_a_thread_and_is_the_same(folder):
    ahead, plain = MotionDataset(folder, "train"), MotionDataset(folder, "train")
    ahead.expect(torch.tensor([0, 3, 6]))
    ahead._ahead.wait()
    assert ahead._recent.get(("000003", "kinematic")) is not None
    for item in range(len(plain)):
        assert torch.equal(ahead.motion(item), plain.motion(item))


def test_what_fails_in_the_thread_is_told_when_it_is_asked_for(folder):
    dataset = MotionDataset(folder, "train")
    (folder / "new_joint_vecs" / "000003.npy").write_bytes(b"nothing")
    dataset.expect([3])
    dataset._ahead.wait()
    with pytest.raises(UserError, match=r"000003\.npy"):
        dataset.motion(3)


def test_items_are_sequences_of_little_memory(folder):
    items = MotionDataset(folder, "train").items
    assert [item.key for item in items[-2:]] == ["000005", "000005@20-40"]
    assert items[5].captions[1].text == items.text(5, 1) == "again 5"
    assert items.caption_counts.tolist() == [2] * 6 + [1]
    many = Items()
    for number in range(1000):
        many.add(f"{number:06d}", [Caption("x" * 50, ("x/NOUN",) * 4)] * 3, 0, 60, "walk/old")
    assert many.nbytes < 1000 * (3 * (50 + 27 + 32) + 60)
    with pytest.raises(IndexError):
        many[1000]


def _no_motion(folder):
    np.save(folder / "new_joint_vecs" / "000001.npy", np.zeros((2, 40, 263), np.float32))


def _two_kinds(folder):
    with (folder / "index.csv").open("a") as file:
        file.write("000001,bow,old\n")


def _long_name(folder):
    with (folder / "train.txt").open("a") as file:
        file.write("x" * 5000 + "\n")


def _nul(folder):
    (folder / "index.csv").write_bytes((folder / "index.csv").read_bytes().replace(b"wave", b"wa\0ve", 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_no_motion, r"000001\.npy: shape \(2, 40, 263\) is a batch"),
        (_two_kinds, r"index\.csv: line 8: the clip '000001' is there twice"),
        (_long_name, r"train\.txt: line 7: .* longer than"),
        (_nul, r"index\.csv: line 6: a NUL"),
    ],
)
def test_what_would_be_wrong_in_silence_is_said(folder, change, said):
    change(folder)
    with pytest.raises(UserError, match=said):
        MotionDataset(folder, "train")


def test_a_representation_that_ends_early_is_said(folder):
    (folder / "new_joints").mkdir()
    for path in (folder / "new_joint_vecs").iterdir():
        np.save(folder / "new_joints" / path.name, np.zeros((18, 22, 3), np.float32))
    data = MotionDataset(folder, "train")
    with pytest.raises(UserError, match=r"18 frames, and the clip's other files have at least 20"):
        data.motion(0, "joints")


def test_an_unknown_split_names_those_there_are(folder):
    with pytest.raises(UserError, match=r"no split 'test' \(there are: train\)"):
        MotionDataset(folder, "test")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no such data set folder"):
        MotionDataset(tmp_path / "nowhere", "train")


def test_a_representation_that_is_not_there_is_named_with_the_mend(folder):
    dataset = MotionDataset(folder, "train")
    assert dataset.representations == ("kinematic",)
    with pytest.raises(UserError, match="motionrft convert --dataset"):
        dataset.motion(0, "joints")


def test_a_pickled_motion_is_refused(folder):
    np.save(folder / "new_joint_vecs" / "000000.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"000000\.npy: (an array of Python objects|a pickled list)"):
        MotionDataset(folder, "train", min_frames=2)
