"""Shards of a data set: many clips in one safetensors file, each with its captions (see `files/shard_file.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from motionrft.errors import UserError
from motionrft.files.arrays import Stored
from motionrft.files.clip_names import name_fault
from motionrft.files.formats.bare_arrays import array_recordings
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Recording
from motionrft.files.shard_file import FORMAT, ShardFile
from motionrft.representations.names import representation_name


class ShardFormat(MotionFormat):
    """Written by `convert --dataset` alone; read as a batch, one clip after the other, each with its first caption."""

    name = "shard"
    suffixes = (".safetensors",)
    shared = True
    names_motions = True

    def recognises(self, file: OpenedFile) -> bool:
        return f'"format": "{FORMAT}"'.encode() in file.head

    def names(self, file: OpenedFile) -> Sequence[str]:
        return [clip for clip in ShardFile(file.path).tables().names if name_fault(clip) is None]

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        shard = ShardFile(file.path)
        wanted = options.representation and representation_name(options.representation)
        name = wanted or next(iter(shard.representations))
        if name not in shard.representations:
            there = ", ".join(shard.representations)
            raise UserError(f"{file.path}: no {name} motions; there are {there}.")
        column = list(shard.representations).index(name)
        tables, captions = shard.tables(), shard.captions()
        for number, (clip, text) in enumerate(zip(tables.names, captions, strict=True)):
            place, frames, checksum = (
                int(table[number, column]) for table in (tables.places, tables.frames, tables.sums)
            )
            if not frames:
                continue
            if (fault := name_fault(clip)) is not None:
                yield FileFault(file.path, f"{file.path}: the clip name {clip!r} {fault}.")
                continue
            try:
                motion = shard.read(clip, name, place, frames, checksum)
            except UserError as error:
                yield FileFault(file.path, str(error))
                continue
            said = text.partition("\n")[0].split("#")[0].strip()
            stored = Stored(motion, texts=(said,) if said else ())
            for found in array_recordings(stored, file.path, replace(options, representation=name)):
                if isinstance(found, Recording):
                    found = replace(found, index=number, batched=True, name=clip)
                yield found
