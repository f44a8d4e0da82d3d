"""One shard of a data set: the motions and captions of many clips in one safetensors file.

Its tensors: `values`, every motion behind the other as float32, clip by clip and in each clip representation by
representation; `frames` (N, R), of each clip in each representation, 0 where it lacks it; `sums` (N, R), CRC-32 of each
motion's bytes; `names` and `captions`, UTF-8, one clip's ended by a line break and by a NUL. The shapes of the R
representations' frames stand in the header's metadata. A motion is read from its place in the file and compared with its
checksum; nothing is mapped, so that a file that shrinks is a fault and kills nobody.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from motionrft.errors import UserError
from motionrft.files.dataset_layout import FOLDERS
from motionrft.parsing import parse_json, parsing
from motionrft.training.weights import check_safetensors

FORMAT, VERSION = "motionrft clips", "1"
_ROOM = 4096
"""Bytes in front of the values: the header is written last, when its numbers are known, and blanks fill the rest."""
_TABLES = {"frames": "I64", "sums": "I64", "names": "U8", "captions": "U8"}
_VALUE = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class Tables:
    """Of N clips in R representations: names, frames (N, R) int32, checksums (N, R) uint32, first bytes (N, R) int64."""

    names: list[str]
    frames: np.ndarray
    sums: np.ndarray
    places: np.ndarray


class ShardFile:
    """A finished shard. What it says of itself is checked when it is opened, each motion when it is read.

    representations: shape of a frame by name: `{"kinematic": (263,), "joints": (22, 3)}`.

    Raises:
        UserError: it is damaged, or of another kind; says where, and what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_safetensors(path)
        with parsing(path, "a shard of a data set"):
            with open(path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header: dict[str, Any] = parse_json(file.read(length))
            about = header.get("__metadata__", {})
            if about.get("format") != FORMAT or about.get("version") != VERSION:
                self._fail("not a shard of a data set that this version knows")
            shapes: dict[str, list[int]] = parse_json(about["representations"])
            self.representations = {name: _shape(name, shape) for name, shape in shapes.items()}
            offsets = {name: map(int, header[name]["data_offsets"]) for name in ("values", *_TABLES)}
            self._spans = {name: tuple(8 + length + byte for byte in each) for name, each in offsets.items()}
            """First byte of each tensor in the file, and the one after its last."""
            self._check(header)

    def tables(self) -> Tables:
        """Where each clip lies.

        Raises:
            UserError: what the shard says of itself is contradictory.
        """
        names, frames, sums = self._texts("names", "\n"), self._numbers("frames"), self._numbers("sums")
        sizes = np.array([_VALUE * math.prod(shape) for shape in self.representations.values()])  # (R,)
        first, last = self._spans["values"]
        if not len(names) == len(frames) == len(sums):
            self._fail("its tables have different numbers of clips")
        if (frames < 0).any() or (frames > last - first).any() or int((frames * sizes).sum()) != last - first:
            self._fail("the frames of its clips do not add up to its values")
        flat = (frames * sizes).reshape(-1)
        places = (first + flat.cumsum() - flat).reshape(frames.shape)
        return Tables(names, frames.astype(np.int32), sums.astype(np.uint32), places)

    def captions(self) -> list[str]:
        """What each clip's captions say, the lines of its text file."""
        return self._texts("captions", "\0")

    def read(self, clip: str, representation: str, place: int, frames: int, checksum: int) -> np.ndarray:
        """(T, …) float32 of one motion.

        Raises:
            UserError: the file ends before, or the bytes do not fit their checksum.
        """
        shape = (frames, *self.representations[representation])
        size = _VALUE * math.prod(shape)
        with parsing(self.path, "a shard of a data set"):
            data = bytearray(size)
            with open(self.path, "rb", buffering=0) as file:
                file.seek(place)
                found = file.readinto(data)
        if found != size or zlib.crc32(data) != checksum:
            self._fail(
                f"the {representation} motion of the clip {clip!r} (byte {place:,}) does not fit its checksum"
            )
        return np.frombuffer(data, np.float32).reshape(shape)

    def _texts(self, name: str, end: str) -> list[str]:
        data = self._bytes(name)
        with parsing(f"{self.path}: {name}", "UTF-8 text"):
            text = data.decode("utf-8", "surrogatepass")
        if text and not text.endswith(end):
            self._fail(f"its {name} have no end")
        return text.split(end)[:-1]

    def _numbers(self, name: str) -> np.ndarray:
        return np.frombuffer(self._bytes(name), np.int64).reshape(-1, len(self.representations))

    def _bytes(self, name: str) -> bytes:
        start, end = self._spans[name]
        with parsing(self.path, "a shard of a data set"), open(self.path, "rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _check(self, header: Mapping[str, Any]) -> None:
        for name, kind in {"values": "F32", **_TABLES}.items():
            entry, (start, end) = header[name], self._spans[name]
            width, size = {"F32": _VALUE, "I64": 8, "U8": 1}[kind], end - start
            if entry["dtype"] != kind or size < 0 or math.prod(entry["shape"]) * width != size:
                self._fail(f"its tensor {name!r} is not what it should be")
            if name in ("frames", "sums") and size % (8 * max(1, len(self.representations))):
                self._fail(f"its tensor {name!r} has no whole rows")

    def _fail(self, what: str) -> None:
        raise UserError(f"{self.path}: damaged: {what}. Copy the data set again, or write it anew.")


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if (
        name not in FOLDERS
        or not 1 <= len(shape) <= 2
        or not all(type(n) is int and 0 < n < 10_000 for n in shape)
    ):
        raise ValueError(f"no shape of a representation: {name} {shape}")
    return tuple(shape)


@dataclass
class _Growing:
    frames: list[int]
    sums: list[int]
    names: bytearray
    captions: bytearray


class ShardFileWriter:
    """Writes one shard clip by clip; in memory are its tables alone.

    Used as a context; a shard whose context ends in an exception lacks its header, which no reader takes for one.
    """

    def __init__(self, path: Path, representations: Mapping[str, tuple[int, ...]]) -> None:
        self.path, self.representations = path, dict(representations)
        self._tables = _Growing([], [], bytearray(), bytearray())
        self.clips = self.values = 0
        """Clips, and bytes of motion, that it has."""
        self._file = open(path, "wb")  # noqa: SIM115 - closed by the context
        self._file.write(bytes(_ROOM))

    def __enter__(self) -> ShardFileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._file.close()

    def add(self, clip: str, motions: Mapping[str, np.ndarray], captions: str) -> None:
        """Add a clip: each representation's motion (T, …), finite, and the text of its captions, one a line."""
        for name, shape in self.representations.items():
            motion = motions.get(name)
            data = b"" if motion is None else np.ascontiguousarray(motion, np.float32).tobytes()
            assert motion is None or motion.shape[1:] == shape, (clip, name, motion.shape)
            self._tables.frames.append(0 if motion is None else len(motion))
            self._tables.sums.append(zlib.crc32(data))
            self._file.write(data)
            self.values += len(data)
        self._tables.names += f"{clip}\n".encode("utf-8", "surrogatepass")
        self._tables.captions += f"{captions}\0".encode("utf-8", "surrogatepass")
        self.clips += 1

    def _finish(self) -> None:
        rows, tables = [self.clips, len(self.representations)], self._tables
        parts: dict[str, tuple[str, list[int], bytes]] = {
            "frames": ("I64", rows, np.array(tables.frames, np.int64).tobytes()),
            "sums": ("I64", rows, np.array(tables.sums, np.int64).tobytes()),
            "names": ("U8", [len(tables.names)], bytes(tables.names)),
            "captions": ("U8", [len(tables.captions)], bytes(tables.captions)),
        }
        spare = self.values % 8  # tables of 8-byte numbers begin at a multiple of it
        header: dict[str, Any] = {
            "__metadata__": {
                "format": FORMAT,
                "version": VERSION,
                "representations": json.dumps(
                    {name: list(shape) for name, shape in self.representations.items()}
                ),
            },
            "values": {"dtype": "F32", "shape": [self.values // _VALUE], "data_offsets": [0, self.values]},
        }
        end = self.values
        if spare:
            self._file.write(bytes(8 - spare))
            header["blank"] = {"dtype": "U8", "shape": [8 - spare], "data_offsets": [end, end + 8 - spare]}
            end += 8 - spare
        for name, (kind, shape, data) in parts.items():
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + len(data)]}
            self._file.write(data)
            end += len(data)
        text = json.dumps(header).encode()
        assert len(text) <= _ROOM - 8, "the header outgrew its room"
        self._file.seek(0)
        self._file.write((_ROOM - 8).to_bytes(8, "little") + text.ljust(_ROOM - 8))
