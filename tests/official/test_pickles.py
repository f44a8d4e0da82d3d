"""Checkpoints of other projects: what is read, what is refused, and how that is said."""

import argparse
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.official.pickles import read_checkpoint, tensors_under, write_checkpoint


def test_reads_the_harmless_types_that_published_checkpoints_hold(tmp_path: Path) -> None:
    content = {
        "state_dict": OrderedDict(weight=torch.arange(3.0)),
        "opt": argparse.Namespace(layers=8),
        "score": np.float64(0.5),
        "epoch": np.int64(3),
    }
    torch.save(content, tmp_path / "a.ckpt")
    found = read_checkpoint(tmp_path / "a.ckpt")
    assert found["opt"].layers == 8 and found["score"] == 0.5 and found["epoch"] == 3
    torch.testing.assert_close(tensors_under(found, "state_dict", tmp_path)["weight"], torch.arange(3.0))


class Payload:
    """Would create a file if it were unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return os.mkdir, (str(self.target),)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Payload(tmp_path / "ran")}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="mkdir"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_malicious_pickle_without_a_container_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    content = {
        "state_dict": Payload(tmp_path / "ran"),
        "optimizer": OrderedDict(),
        "again": Payload(tmp_path),
    }
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(UserError, match=r"would run code \(posix\.mkdir\)\. Nothing was run"):
        read_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_a_malicious_file_of_an_old_torch_is_refused_by_name(tmp_path: Path) -> None:
    content = {"state_dict": {"a": torch.ones(3)}, "more": Payload(tmp_path / "ran")}
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"\(posix\.mkdir\)"):
        read_checkpoint(tmp_path / "old.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"not a checkpoint at all", "damaged"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_checkpoint(tmp_path / "x.ckpt")


def test_a_truncated_checkpoint_is_said_to_be_truncated(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x.ckpt", {"state_dict": {"weight": torch.zeros(1000)}})
    whole = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated at byte"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_a_missing_entry_is_named_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no 'state_dict'; it holds model"):
        tensors_under({"model": {}}, "state_dict", tmp_path)
