"""Statistics of all clips are computed once for a data set, and again as soon as it is another."""

import logging

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.data.kept_statistics import FOLDER, kept_statistics
from motionrft.representations.statistics import Statistics
from motionrft.training import fingerprints

FOUND = Statistics(torch.tensor([1 / 3, -2.5e-7]), torch.tensor([0.1, 3e9]))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONRFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / FOLDER


def no_look() -> Statistics:
    raise AssertionError("the clips are looked at again")


def test_they_come_back_to_the_bit_without_a_look(cache):
    kept_statistics("a data set", "joints", lambda: FOUND)
    again = kept_statistics("a data set", "joints", no_look)
    assert torch.equal(again.mean, FOUND.mean) and torch.equal(again.std, FOUND.std)


@pytest.mark.parametrize("asked", [("another", "joints"), ("a data set", "rotation")])
def test_another_question_is_looked_into(asked):
    kept_statistics("a data set", "joints", lambda: FOUND)
    with pytest.raises(AssertionError, match="again"):
        kept_statistics(*asked, no_look)


@pytest.mark.parametrize("damage", [lambda text: text[:9], lambda text: text.replace("0.333", "0.334")])
def test_damaged_ones_are_told_and_made_again(cache, caplog, damage):
    kept_statistics("a data set", "joints", lambda: FOUND)
    (file,) = cache.iterdir()
    whole = file.read_text()
    file.write_text(damage(whole))
    with caplog.at_level(logging.WARNING):
        kept_statistics("a data set", "joints", lambda: FOUND)
    assert "computed again" in caplog.text
    assert file.read_text() == whole


def test_a_cache_that_cannot_be_written_costs_a_warning(cache, caplog):
    cache.parent.mkdir()
    cache.write_text("a file where a folder should be")
    assert kept_statistics("a data set", "joints", lambda: FOUND) is FOUND
    assert "not kept" in caplog.text


@pytest.mark.parametrize("whole", [2**30, 0], ids=["hashed", "sampled"])
def test_a_motion_written_anew_counts(folder, monkeypatch, whole):
    """Also where the identity saw three blocks of a motion, and none that changed."""
    monkeypatch.setattr(fingerprints, "WHOLE", whole)
    monkeypatch.setattr(fingerprints, "_SAMPLE", 64)
    for name in ("Mean", "Std"):
        (folder / f"{name}.npy").unlink()
    before = MotionDataset(folder, "train").statistics()
    path = folder / "new_joint_vecs" / "000003.npy"
    motion = np.load(path)
    motion[3] += 1.0
    np.save(path, motion)
    after = MotionDataset(folder, "train").statistics()
    assert not torch.equal(before.mean, after.mean)
