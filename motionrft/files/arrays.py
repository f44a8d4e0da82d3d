"""Arrays in `.npy`, `.npz` and `.safetensors`, read without trusting them.

Nothing is unpickled, and every claim of a header is compared with the file before memory is taken: a damaged or hostile
file costs a message, not a gigabyte.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from safetensors import safe_open

from motionrft.errors import UserError
from motionrft.files.checks import check_fps
from motionrft.parsing import parsing
from motionrft.training.atomic import atomic_file
from motionrft.training.weights import check_safetensors

LARGEST_EXPANSION = 2 << 30
"""Bytes that an archive may expand to."""
_HARMLESS = 64 << 20
_LARGEST_RATIO = 100
"""An archive above `_HARMLESS` bytes that expands more than this is a bomb: real motions compress twofold."""
_LONGEST_HEADER = 10_000

LARGEST_COPY = 256 << 20
"""Bytes of the largest array that is read at once. A file that shrinks while it is mapped kills the process: only what is
larger than this is mapped."""

MAIN_NAMES = ("motion", "motions", "features", "joints", "poses", "data", "arr_0")
SIDE_NAMES = ("lengths", "length", "fps")


Order = Literal["C", "F"]


@dataclass(frozen=True)
class Stored:
    """What a file holds: the motion array, lengths of a batch, frames per second.

    A `.npy` above `LARGEST_COPY` bytes is memory-mapped; everything else is in memory, whatever becomes of the file.
    """

    array: np.ndarray
    lengths: np.ndarray | None = None
    fps: float | None = None


def read_arrays(path: Path) -> Stored:
    """Read a `.npy`, `.npz` or `.safetensors` file.

    Raises:
        UserError: empty, truncated, a web page, a pickle, a bomb, or not what its name says.
    """
    suffix = path.suffix.lower()
    with parsing(path, f"a {suffix} file"):
        _sniff(path)
        if suffix == ".npy":
            return Stored(_read_npy(path))
        return _pick(_read_npz(path) if suffix == ".npz" else _read_safetensors(path), path)


def _sniff(path: Path) -> None:
    """Refuse what is plainly something else, by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        raise UserError(f"{path}: the file is empty.")
    if head.lstrip()[:1] == b"<":
        raise UserError(f"{path}: a web page, the download failed. Fetch the file again.")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{path}: a Git LFS pointer, not the data. Run git lfs pull where it came from.")
    if head[:1] == b"\x80" and path.suffix.lower() != ".safetensors":
        raise UserError(
            f"{path}: a pickle, which may run code when opened: refused. Save the array as plain numbers."
        )


def _read_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        shape, order, dtype = _npy_header(file, str(path))
        _check_claim(shape, dtype, path.stat().st_size - file.tell(), str(path))
        count = math.prod(shape)
        if count == 0 or count * dtype.itemsize <= LARGEST_COPY:
            return np.fromfile(file, dtype, count).reshape(shape, order=order)
        return np.memmap(path, dtype, mode="r", offset=file.tell(), shape=shape, order=order)


def _npy_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], Order, np.dtype[Any]]:
    """Shape, order and dtype of a `.npy` header; nothing is allocated."""
    with parsing(name, "a .npy array"):
        version = np.lib.format.read_magic(file)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject:
        raise UserError(
            f"{name}: an array of Python objects (a pickle), which may run code when opened: refused. Save plain numbers."
        )
    return tuple(map(int, shape)), "F" if fortran else "C", dtype


def _check_claim(shape: tuple[int, ...], dtype: np.dtype[Any], held: int, name: str) -> None:
    if dtype.itemsize == 0:
        raise UserError(f"{name}: its items ({dtype.str}) have no bytes: damaged.")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or claimed > held:
        raise UserError(
            f"{name}: the header claims {_size(claimed)} in shape {shape}, the file holds {_size(held)}: "
            f"truncated or damaged."
        )


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        _check_archive(archive, path)
        return {
            info.filename.removesuffix(".npy"): _read_member(archive, info, path)
            for info in archive.infolist()
        }


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    for info in members:
        parts = Path(info.filename.replace("\\", "/")).parts
        if ".." in parts or info.filename.startswith(("/", "\\")) or not info.filename.endswith(".npy"):
            raise UserError(f"{path}: member {info.filename!r} does not belong into a .npz archive: refused.")
    packed, expanded = os.path.getsize(path), sum(info.file_size for info in members)
    if expanded > LARGEST_EXPANSION or expanded > max(_HARMLESS, _LARGEST_RATIO * packed):
        raise UserError(
            f"{path}: {_size(packed)} that would expand to {_size(expanded)}: refused. "
            f"If it is real, save it without compression."
        )


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    name = f"{path}: {info.filename}"
    with parsing(name, "a member of a .npz archive"), archive.open(info) as file:
        shape, order, dtype = _npy_header(file, name)
        _check_claim(shape, dtype, info.file_size, name)
        data = file.read()
    count = math.prod(shape)
    if len(data) < count * dtype.itemsize:
        raise UserError(f"{name}: the header claims {count} values, {_size(len(data))} are there: damaged.")
    return np.frombuffer(data, dtype, count).reshape(shape, order=order)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    check_safetensors(path)
    with safe_open(path, framework="pt") as file:
        return {name: _plain(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a mapping


def _plain(tensor: torch.Tensor) -> np.ndarray:
    """As numpy, copied out of the mapped file; types that numpy lacks (bfloat16, 8 bits) become float32."""
    known = tensor.dtype.itemsize > 1 and tensor.dtype != torch.bfloat16 and tensor.is_floating_point()
    integer = not tensor.is_floating_point() and not tensor.is_complex()
    return (tensor.clone() if known or integer else tensor.float()).numpy()


def _pick(arrays: Mapping[str, np.ndarray], path: Path) -> Stored:
    """The motion among named arrays: a usual name, or the only array that could be one."""
    candidates = [name for name, array in arrays.items() if name not in SIDE_NAMES and array.ndim >= 2]
    named = [name for name in MAIN_NAMES if name in candidates]
    if not named and len(candidates) != 1:
        raise UserError(
            f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}; which one is the motion is unclear. "
            f"Call it motion, and the lengths of a batch lengths."
        )
    lengths = arrays.get("lengths", arrays.get("length"))
    fps = arrays.get("fps")
    rate = (
        check_fps(float(fps.reshape(-1)[0]), f"{path}: fps")
        if fps is not None and fps.size == 1 and fps.dtype.kind in "iuf"
        else None
    )
    return Stored(arrays[named[0] if named else candidates[0]], lengths, rate)


def write_arrays(path: Path, array: np.ndarray, fps: float) -> None:
    """Write a motion as `.npy` (array alone), `.npz` or `.safetensors` (`motion` and `fps`), whole or not at all."""
    suffix = path.suffix.lower()
    with atomic_file(path) as temporary:
        if suffix == ".safetensors":
            from safetensors.numpy import save_file

            save_file({"motion": np.ascontiguousarray(array), "fps": np.array([fps], np.float32)}, temporary)
            return
        with open(temporary, "wb") as file:
            if suffix == ".npy":
                np.save(file, array)
            else:
                np.savez(file, motion=array, fps=np.float32(fps))
