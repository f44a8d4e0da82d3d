"""Faults 1 to 7 and 13: files that are damaged, hostile, or something else."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays, write_arrays

MOTION = np.random.default_rng(0).normal(size=(12, 263)).astype(np.float32)


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def header_only(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


class Payload:
    """Would create a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.npy", b"", "the file is empty"),
        ("a.npy", npy_bytes(MOTION)[:-500], "truncated"),
        ("a.npy", npy_bytes(MOTION)[:40], "damaged, or not a .npy array"),
        ("a.npy", b"\n<!DOCTYPE html><html>", "a web page, the download failed"),
        ("a.npz", b"<html>", "a web page, the download failed"),
        ("a.npy", b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        ("a.npy", pickle.dumps([1, 2]), "a pickle"),
        ("a.npy", b"not an array at all", "not a .npy array"),
        ("a.npy", header_only((10**12, 263)), "the header claims 956.8 TiB"),
        ("a.npy", header_only((2**31, 263)), "the file holds 0 bytes"),
        ("a.npy", header_only((-5, 263)), "damaged"),
        ("a.npz", npy_bytes(MOTION), "not a .npz file"),
        ("a.safetensors", b"\xff" * 64, "damaged"),
    ],
)
def test_damaged_files_say_what_they_are(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=says) as caught:
        read_arrays(path)
    assert str(path) in str(caught.value)


def test_object_arrays_are_refused_and_nothing_runs(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    for name in ("a.npy", "a.npz"):
        array = np.array([Payload(trap)], dtype=object)
        if name == "a.npy":
            (tmp_path / name).write_bytes(npy_bytes(array))
        else:
            np.savez(tmp_path / name, motion=array)
        with pytest.raises(UserError, match="refused") as caught:
            read_arrays(tmp_path / name)
        assert "allow_pickle" not in str(caught.value)
    assert not trap.exists()


def test_a_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("motion.npy", bytes(80 << 20))
    with pytest.raises(UserError, match="would expand to 80 MiB"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("member", ["../../x.npy", "/x.npy", "notes.txt"])
def test_members_from_elsewhere_are_refused(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(member, npy_bytes(MOTION))
    with pytest.raises(UserError, match="does not belong"):
        read_arrays(tmp_path / "a.npz")


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("motion.npy", header_only((4000, 263)) + b"1234")
    with pytest.raises(UserError, match="the header claims"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_what_is_written_is_read_with_its_frame_rate(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_arrays(path, MOTION, 12.5)
    stored = read_arrays(path)
    np.testing.assert_array_equal(stored.array, MOTION)
    assert stored.fps == (None if suffix == ".npy" else 12.5)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_the_motion_of_several_arrays_is_found_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.zeros((2, 5, 22, 3)), lengths=[3, 5], other=np.zeros((4, 4)))
    stored = read_arrays(tmp_path / "a.npz")
    assert stored.array.shape == (2, 5, 22, 3) and stored.lengths is not None
    np.savez(tmp_path / "b.npz", one=np.zeros((2, 263)), two=np.zeros((4, 263)))
    with pytest.raises(UserError, match="one, two"):
        read_arrays(tmp_path / "b.npz")
