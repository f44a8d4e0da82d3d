"""A data set in shards: `shards.json` lists the files in `shards/`, each of which holds many clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionrft.errors import UserError
from motionrft.files.clip_store import ClipStore, Lines, LooseClips, stat_of
from motionrft.files.dataset_layout import FOLDERS, SHARD_INDEX, SHARDS
from motionrft.files.shard_file import FORMAT, VERSION, ShardFile, ShardFileWriter, Tables
from motionrft.parsing import numbered_lines, parsing, read_json
from motionrft.strings import Strings
from motionrft.training.atomic import write_text
from motionrft.training.recent import Recent

LARGEST = 256 << 20
"""Bytes of motion after which a shard is full: large enough for any disk, small enough to copy again."""


class ShardedClips(ClipStore):
    """Clips of shards. In memory are their names and where each lies, about 100 bytes a clip; motions and captions are
    read when they are asked for.

    Raises:
        UserError: the index or a shard is damaged or missing, or two shards have a clip of one name.
    """

    def __init__(self, root: Path) -> None:
        self.files, representations = _opened(root / SHARD_INDEX, root / SHARDS)
        super().__init__(root, [name for name in FOLDERS if name in representations])
        self._column = {name: number for number, name in enumerate(representations)}
        self._names = Strings()
        tables = [self._named(file.tables()) for file in self.files]
        counts = [len(frames) for frames, _, _ in tables]
        self._frames, self._sums, self._places = map(np.concatenate, zip(*tables, strict=True))  # (N, R) each
        self._file = np.repeat(np.arange(len(tables), dtype=np.int32), counts)  # (N,)
        self._first = np.cumsum([0, *counts])
        keys = np.fromiter(map(_key, self._names), np.uint64, len(self._names))  # (N,)
        self._order = keys.argsort(kind="stable")
        self._keys = keys[self._order]
        self._check_names()
        self._spoken: tuple[int, list[str]] = -1, []
        """The captions of the shard that was asked for them last."""
        self._found = self.stamp(())

    @property
    def unchanged(self) -> bool:
        """Whether index and shards are those that were opened."""
        return self.stamp(()) == self._found

    def has(self, clip: str, representation: str | None = None) -> bool:
        if representation is None:
            return bool(self.lines(clip))
        return self.shape(clip, representation) is not None

    def any_shape(self, representation: str) -> tuple[int, ...] | None:
        there = np.flatnonzero(self._frames[:, self._column[representation]])
        return self.shape(self._names[int(there[0])], representation) if len(there) else None

    def shape(self, clip: str, representation: str) -> tuple[int, ...] | None:
        row = self._row(clip)
        if row is None or representation not in self._column:
            return None
        frames = int(self._frames[row, self._column[representation]])
        return (frames, *self._shapes(row)[representation]) if frames else None

    def read(self, clip: str, representation: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        row, column = self._row(clip), self._column.get(representation)
        if row is None or column is None or not self._frames[row, column]:
            raise UserError(
                f"{self.root / SHARD_INDEX}: no {representation} motion of the clip {clip!r}. Complete the folder that "
                f"the shards were made of with `motionrft convert --dataset`, and write them anew."
            )
        numbers = (int(table[row, column]) for table in (self._places, self._frames, self._sums))
        return self.files[self._file[row]].read(clip, representation, *numbers)[start:stop]

    def lines(self, clip: str) -> Lines | None:
        row = self._row(clip)
        if row is None:
            return None
        number = int(self._file[row])
        if self._spoken[0] != number:
            self._spoken = number, self.files[number].captions()
        text = self._spoken[1][row - int(self._first[number])]
        return list(numbered_lines(text, self.place(clip))) if text else None

    def place(self, clip: str, representation: str | None = None) -> str:
        row = self._row(clip)
        where = self.root / SHARD_INDEX if row is None else self.files[self._file[row]].path
        return f"{where}: {clip}: {representation or 'captions'}"

    def frames(self, clip: str) -> tuple[int | None, str | None]:
        row = self._row(clip)
        if row is None:
            return None, None
        counts = (int(self._frames[row, self._column[name]]) for name in self.representations)
        return next((count for count in counts if count), None), None

    def stamp(self, clips: Iterable[str]) -> str:
        paths = [self.root / SHARD_INDEX, *(file.path for file in self.files)]
        return " ".join(str(stat_of(path)) for path in paths)

    def contents(self, clips: Sequence[str]) -> tuple[str, bool]:
        """By the checksums of all motions, which are compared with them whenever they are read; none is read for it."""
        digest = hashlib.sha256()
        for clip in clips:
            row = self._row(clip)
            digest.update(clip.encode("utf-8", "surrogatepass") + b"\n")
            if row is not None:
                digest.update(self._frames[row].tobytes() + self._sums[row].tobytes())
        return digest.hexdigest(), False

    def _row(self, clip: str) -> int | None:
        key = np.uint64(_key(clip))
        place = int(self._keys.searchsorted(key))
        while place < len(self._keys) and self._keys[place] == key:
            if self._names[int(self._order[place])] == clip:
                return int(self._order[place])
            place += 1
        return None

    def _shapes(self, row: int) -> Mapping[str, tuple[int, ...]]:
        return self.files[self._file[row]].representations

    def _named(self, tables: Tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The numbers of a shard, its names being kept."""
        for name in tables.names:
            self._names.append(name)
        return tables.frames, tables.sums, tables.places

    def _check_names(self) -> None:
        for place in np.flatnonzero(self._keys[1:] == self._keys[:-1]):
            one, other = (int(self._order[place + step]) for step in (0, 1))
            if self._names[one] == self._names[other]:
                files = " and ".join(str(self.files[self._file[row]].path) for row in (one, other))
                raise UserError(
                    f"{files}: the clip {self._names[one]!r} is in both. Write the data set anew."
                )


def _opened(index: Path, folder: Path) -> tuple[list[ShardFile], dict[str, tuple[int, ...]]]:
    """The shards that an index lists, each of the size that it says, and the shape of a frame by representation."""
    about = read_json(index)
    with parsing(index, "a list of shards") as place:
        if about.get("format") != FORMAT or about.get("version") != VERSION:
            place.fail(f"format {about.get('format')!r}, version {about.get('version')!r}: not known here.")
        files = []
        for entry in about["shards"]:
            name, size = entry["file"], entry["bytes"]
            if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
                place.fail(f"the shard {name!r} is no name of a file in {folder.name}/: refused.")
            path = folder / name
            if path.is_symlink() and path.resolve().parent != folder.resolve():
                place.fail(f"the shard {name!r} is a link that leads out of {folder}: refused.")
            if not path.is_file():
                place.fail(f"{path} is missing. Copy the data set again, or write it anew.")
            if path.stat().st_size != size:
                place.fail(
                    f"{path} has {path.stat().st_size:,} bytes, {size:,} are expected: damaged. Copy the data set "
                    f"again, or write it anew."
                )
            files.append(ShardFile(path))
        if not files:
            place.fail("lists no shard.")
        for file in files[1:]:
            if file.representations != files[0].representations:
                place.fail(f"{file.path} holds other representations than {files[0].path}.")
    return files, files[0].representations


def _key(clip: str) -> int:
    data = clip.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


_known: Recent[Path, ShardedClips] = Recent(2)


def open_shards(root: Path) -> ShardedClips:
    """The shards of a data set folder; the splits of a set share one object."""
    place = root.resolve()
    known = _known.get(place)
    if known is None or not known.unchanged:
        known = ShardedClips(root)
        _known.put(place, known, 1)
    return known


class ShardWriter:
    """Writes clips into shards of a data set folder, one after the other; `finish` writes the index.

    Args:
        shapes: of a frame in every representation, `{"kinematic": (263,)}`; None: what the first clip has.
    """

    def __init__(self, root: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self.root, self._shapes = root, shapes
        self._open: ShardFileWriter | None = None
        self._done: list[dict[str, Any]] = []

    def add(self, clip: str, motions: Mapping[str, np.ndarray], captions: str) -> None:
        """Add a clip with every representation that it has, (T, …) finite each, and the text of its captions."""
        if self._open is None:
            (self.root / SHARDS).mkdir(exist_ok=True)
            path = self.root / SHARDS / f"{len(self._done):05d}.safetensors"
            self._shapes = self._shapes or {name: motion.shape[1:] for name, motion in motions.items()}
            self._open = ShardFileWriter(path, self._shapes)
        self._open.add(clip, motions, captions)
        if self._open.values >= LARGEST:
            self._close()

    def finish(self) -> None:
        """Write the last shard and the index."""
        self._close()
        shapes = {name: list(shape) for name, shape in (self._shapes or {}).items()}
        index = {"format": FORMAT, "version": VERSION, "representations": shapes, "shards": self._done}
        write_text(self.root / SHARD_INDEX, json.dumps(index, indent=1) + "\n")

    def _close(self) -> None:
        if self._open is None:
            return
        with self._open as shard:
            self._open = None
        size = shard.path.stat().st_size
        self._done.append({"file": shard.path.name, "bytes": size, "clips": shard.clips})


def open_clips(root: Path) -> ClipStore:
    """The clips of a data set folder, in shards or each in files of its own.

    Raises:
        UserError: its shards are damaged.
    """
    return open_shards(root) if (root / SHARD_INDEX).is_file() else LooseClips(root)
