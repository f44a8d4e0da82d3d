"""A file of text features whose header is read once: from then on a text costs one read at a known place.

The file is a safetensors file: `<key>.tokens` (L, D) and, where the encoder has one, `<key>.pooled` (P,) of each text, in
half precision, and a checksum a key among the metadata. Opening such a file anew for every batch parses the header, with
thousands of names, for a handful of them: half a second for 256 captions of a large data set.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from motionrft.errors import UserError

STORED = torch.float16
"""Features are kept in half precision (a caption of 20 tokens x 1024 is 40 KB) and always pass through it, so that a
result does not depend on whether the cache was warm."""
Places = npt.NDArray[np.int64]
"""(N, 3): first byte in the file, rows, columns of a tensor; a vector is one row."""
_LENGTH = 8
"""Bytes at the beginning that say how long the header is."""

Features = tuple[Tensor, Tensor | None]
"""Of one text: token states (L, D) and the pooled vector (P,) or None, both `STORED`."""


class Shard:
    """Where each text's features lie in a file; some 80 bytes a text, and no file is held open.

    Args:
        width: D of the token states. sums: SHA-256 of each text's features, hexadecimal, by row.
    """

    def __init__(self, path: Path, width: int, sums: Iterable[str]) -> None:
        self.path, self.width = path, width
        self._sums = np.frombuffer(b"".join(map(bytes.fromhex, sums)), np.uint8).reshape(-1, 32)

    @classmethod
    def met(cls, path: Path, width: int) -> tuple["Shard", list[str]]:
        """A file's shard, and the names of its texts: a text's row is its place among them.

        Raises:
            UserError: the file is no such file.
        """
        sums: dict[str, str] = _header(path)[0].get("__metadata__", {})
        return cls(path, width, sums.values()), list(sums)

    def read(self, rows: Sequence[int]) -> list[tuple[Features, str]]:
        """Features of the texts in these rows, and the checksum that each ought to have.

        Raises:
            UserError: the file has no such features.
            OSError: the file is gone, or shorter than it was.
        """
        tokens, pooled = self._places
        found: list[tuple[Features, str]] = []
        with open(self.path, "rb", buffering=0) as file:
            for row in rows:
                vector = _filled(file, pooled[row])[0] if pooled[row, 1] else None
                found.append(((_filled(file, tokens[row]), vector), self._sums[row].tobytes().hex()))
        return found

    @cached_property
    def _places(self) -> tuple[Places, Places]:
        """Of the token states and the pooled vectors; most shards that a run meets are never read."""
        header, first, size = _header(self.path)
        keys: Iterable[str] = header.get("__metadata__", {})
        tokens = _table([header[f"{key}.tokens"] for key in keys], first, size)
        if (tokens[:, 2] != self.width).any() or len(tokens) != len(self._sums):
            raise UserError(f"no features {self.width} wide")
        return tokens, _table([header.get(f"{key}.pooled") for key in keys], first, size)


def _header(path: Path) -> tuple[dict[str, Any], int, int]:
    """The header, where the data begins, and where it ends."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if not 0 < length <= size - _LENGTH:
            raise UserError("its header is longer than the file")
        return json.loads(file.read(length)), _LENGTH + length, size


def _table(entries: Sequence[dict[str, Any] | None], first: int, size: int) -> Places:
    """Where tensors lie; zeros where there is none.

    Raises:
        UserError: one does not lie where it says.
    """
    there = [place for place, entry in enumerate(entries) if entry is not None]
    told = [entry for entry in entries if entry is not None]
    spans = np.array([entry["data_offsets"] for entry in told], np.int64).reshape(-1, 2)
    shapes = np.array([(1, *entry["shape"])[-2:] for entry in told], np.int64).reshape(-1, 2)
    begin, end = first + spans.T
    fits = (shapes > 0).all(1) & (begin >= first) & (end <= size)
    fits &= end - begin == STORED.itemsize * shapes.prod(1)
    if not fits.all() or {entry["dtype"] for entry in told} - {"F16"}:
        raise UserError("a tensor of it does not lie where it says")
    table = np.zeros((len(entries), 3), np.int64)
    table[there] = np.column_stack((begin, shapes))
    return table


def _filled(file: FileIO, place: npt.NDArray[np.int64]) -> Tensor:
    """A tensor of the file, in memory of its own: (rows, columns)."""
    begin, rows, columns = place.tolist()
    tensor = torch.empty((rows, columns), dtype=STORED)
    file.seek(begin)
    if file.readinto(tensor.numpy().data.cast("B")) != tensor.nbytes:
        raise OSError(f"{file.name!r} is shorter than it was")
    return tensor
