"""Arrays in `.npy`, `.npz`, `.safetensors` and pickles of plain things, read without trusting them.

Nothing is run, and every claim of a header is compared with the file before memory is taken: a damaged or hostile
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
from motionrft.files.harmless_pickle import LARGEST_PICKLE, members_of, read_pickled
from motionrft.files.layouts import BODIES, joints_layout
from motionrft.parsing import parsing
from motionrft.representations.names import guess_representation
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

MAIN_NAMES = ("motion", "motions", "features", "joints", "posed_joints", "poses", "data", "arr_0", "")
"""What the motion is called among several arrays, the likeliest first; "" is an array without a name."""
_LENGTHS = ("lengths", "length", "m_lens", "m_length")
_RATES = ("fps", "mocap_frame_rate", "mocap_framerate", "frame_rate", "framerate")
_TEXTS = ("texts", "text", "captions", "caption", "prompts", "prompt")


Order = Literal["C", "F"]


@dataclass(frozen=True)
class Stored:
    """What a file holds: the motion array, lengths of a batch, frames per second, texts of its motions.

    A `.npy` above `LARGEST_COPY` bytes is memory-mapped; everything else is in memory, whatever becomes of the file.
    """

    array: np.ndarray
    lengths: np.ndarray | None = None
    fps: float | None = None
    texts: tuple[str, ...] = ()

    def text(self, index: int) -> str | None:
        """The text of a motion of the batch; one text is for all."""
        if len(self.texts) == 1:
            return self.texts[0]
        return self.texts[index] if index < len(self.texts) else None


def read_arrays(path: Path) -> Stored:
    """The motion in a `.npy`, `.npz`, `.safetensors` or `.pkl` file.

    Raises:
        UserError: empty, truncated, a web page, a pickle of more than plain things, a bomb, not what its name says, or
            several arrays none of which is plainly the motion.
    """
    return pick_motion(read_members(path), path)[0]


def read_members(path: Path) -> dict[str, Any]:
    """Everything that an array file holds, by name; the array of a `.npy` has the name "".

    Raises:
        UserError: as `read_arrays`.
    """
    suffix = path.suffix.lower()
    with parsing(path, f"a {suffix} file"):
        _sniff(path)
        if suffix == ".npy":
            return _read_npy(path)
        if suffix == ".npz":
            return _read_npz(path)
        return _read_pickle(path) if suffix == ".pkl" else _read_safetensors(path)


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
    if head[:1] == b"\x80" and path.suffix.lower() not in (".safetensors", ".pkl"):
        raise UserError(
            f"{path}: a pickle, not what its name says: refused. Call it .pkl if it holds a dictionary of arrays."
        )


def _read_npy(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        shape, order, dtype = _npy_header(file, str(path), pickled=True)
        if dtype.hasobject:
            return members_of(read_pickled(file.read(LARGEST_PICKLE + 1), str(path)), path)
        _check_claim(shape, dtype, path.stat().st_size - file.tell(), str(path))
        count = math.prod(shape)
        if count == 0 or count * dtype.itemsize <= LARGEST_COPY:
            return {"": np.fromfile(file, dtype, count).reshape(shape, order=order)}
        return {"": np.memmap(path, dtype, mode="r", offset=file.tell(), shape=shape, order=order)}


def _read_pickle(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return members_of(read_pickled(file.read(LARGEST_PICKLE + 1), str(path)), path)


def _npy_header(
    file: IO[bytes], name: str, pickled: bool = False
) -> tuple[tuple[int, ...], Order, np.dtype[Any]]:
    """Shape, order and dtype of a `.npy` header; nothing is allocated. `pickled`: Python objects are no fault."""
    with parsing(name, "a .npy array"):
        version = np.lib.format.read_magic(file)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject and not pickled:
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
    check_expansion(archive, path, LARGEST_EXPANSION)


def check_expansion(archive: zipfile.ZipFile, path: Path, largest: int | None = None) -> None:
    """Refuse a zip archive that expands to what no real one does, before anything is expanded.

    Args:
        largest: bytes that it may expand to however it is packed; None leaves that open.

    Raises:
        UserError: says both sizes.
    """
    packed, expanded = os.path.getsize(path), sum(info.file_size for info in archive.infolist())
    if expanded > (largest or expanded) or expanded > max(_HARMLESS, _LARGEST_RATIO * packed):
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


def pick_motion(members: Mapping[str, Any], path: Path) -> tuple[Stored, tuple[str, ...]]:
    """The motion among named arrays with what belongs to it, and what is said of the choice.

    The motion is what has a usual name, among the arrays that have a motion's shape; or the only one that has.

    Raises:
        UserError: none is, or several are and none has a usual name.
    """
    arrays = {name: value for name, value in members.items() if isinstance(value, np.ndarray)}
    motions = [name for name, array in arrays.items() if _is_motion(array)]
    candidates = motions or [
        name for name, array in arrays.items() if name not in _LENGTHS and array.ndim >= 2
    ]
    named = [name for name in MAIN_NAMES if name in candidates]
    if not named and "" in arrays:
        named = [""]
    if not named and len(candidates) != 1:
        raise UserError(
            f"{path}: holds {', '.join(sorted(members)) or 'nothing'}; which one is the motion is unclear. "
            f"Call it motion, and the lengths of a batch lengths."
        )
    chosen = named[0] if named else candidates[0]
    notes = (f"its array {chosen!r}",) if len(motions) > 1 else ()
    lengths = next((arrays[name] for name in _LENGTHS if name in arrays and name != chosen), None)
    return Stored(arrays[chosen], lengths, rate_of(members, path), _texts(members)), notes


def _is_motion(array: np.ndarray) -> bool:
    if array.dtype.kind not in "iufb":
        return False
    shape = tuple(array.shape[axis] for axis in joints_layout(array.shape).order)
    body = len(shape) >= 2 and shape[-1] == 3 and shape[-2] in BODIES
    return guess_representation((*shape[:-2], 22, 3) if body else shape) is not None


def rate_of(members: Mapping[str, Any], path: Path) -> float | None:
    """The frame rate among named members, under any of its usual names; None where there is none.

    Raises:
        UserError: it is no frame rate.
    """
    for name in _RATES:
        if members.get(name) is None:
            continue
        value = np.asarray(members[name]).reshape(-1)
        if value.dtype.kind not in "iuf" or not value.size or (value[1:] != value[0]).any():
            shown = " ".join(str(value.tolist())[:40].split())
            raise UserError(f"{path}: {name} is {shown}; a frame rate is one number a second.")
        return check_fps(float(value[0]), f"{path}: {name}")
    return None


def _texts(members: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts among named members: one, a list, or an array of them."""
    for name in _TEXTS:
        value = members.get(name)
        if isinstance(value, str):
            return (value,)
        items = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
        if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
            return tuple(items)
    return ()


def write_members(path: Path, members: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as `.npz`, whole or not at all; nothing in it needs a pickle."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **members)


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
