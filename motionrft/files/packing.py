"""Data sets from one layout into the other: files a clip into shards, and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from motionrft.errors import UserError
from motionrft.files.checks import checked_values
from motionrft.files.clip_names import clip_file, read_names
from motionrft.files.clip_store import ClipStore
from motionrft.files.dataset_layout import FOLDERS, SHARD_INDEX, TEXTS
from motionrft.files.dataset_recipe import Layout
from motionrft.files.shards import ShardWriter, open_clips
from motionrft.representations.names import JOINTS
from motionrft.training.atomic import atomic_folder


class Packer:
    """Moves the clips of a data set folder that is being written from files of their own into its shards."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._shards = folder, ShardWriter(folder)

    def take(self, clip: str) -> None:
        """Pack a clip, whose files are gone then."""
        files = {name: self.folder / place / f"{clip}.npy" for name, place in FOLDERS.items()}
        text = self.folder / TEXTS / f"{clip}.txt"
        motions = {name: np.load(path) for name, path in files.items()}
        self._shards.add(clip, motions, text.read_text(encoding="utf-8"))
        for path in (*files.values(), text):
            path.unlink()

    def finish(self, clips: Iterable[str]) -> None:
        """Pack these too, and write the index. The folders of the clips' files, empty now, are taken away."""
        for clip in clips:
            self.take(clip)
        self._shards.finish()
        for name in (*FOLDERS.values(), TEXTS):
            (self.folder / name).rmdir()


class _Files:
    """Writes clips as HumanML3D lays them out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, clip: str, motions: Mapping[str, np.ndarray], captions: str) -> None:
        for name, motion in motions.items():
            path = clip_file(self.folder / FOLDERS[name], clip)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, motion)
        text = clip_file(self.folder / TEXTS, clip, ".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(captions, encoding="utf-8")

    def finish(self) -> None:
        """All is there."""


@dataclass
class Repacked:
    """What became of a data set in the other layout. left_out: a sentence for each listed clip that is not in it."""

    clips: int = 0
    left_out: list[str] = field(default_factory=list)


def repack(
    source: Path, out: Path, layout: Layout, progress: Callable[[int, int], None] | None = None
) -> Repacked:
    """Write a data set again in a layout, whole or not at all; the files beside its clips are copied as they are.

    Args:
        progress: called with (clips done, clips in all).

    Raises:
        UserError: `out` holds anything, or the data set is damaged or has no clip.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists. Name a new --out.")
    stored, found = open_clips(source), Repacked()
    clips = [
        clip for clip in _listed(source) if any(stored.has(clip, name) for name in stored.representations)
    ]
    with atomic_folder(out) as folder:
        write = writer_of(folder, layout, _shapes(stored))
        for done, clip in enumerate(clips, 1):
            try:
                write.add(clip, _motions(stored, clip), _text(stored, clip))
                found.clips += 1
            except UserError as error:
                found.left_out.append(f"{error} Left out.")
            if progress is not None:
                progress(done, len(clips))
        if not found.clips:
            raise UserError(f"{source}: no clip that can be written anew. {' '.join(found.left_out[:3])}")
        write.finish()
        for path in sorted(source.iterdir()):
            if path.is_file() and path.name != SHARD_INDEX:
                shutil.copyfile(path, folder / path.name)
    return found


def writer_of(
    folder: Path, layout: Layout, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> ShardWriter | _Files:
    """Who writes clips into a folder in a layout; `shapes` as `ShardWriter` takes them."""
    return ShardWriter(folder, shapes) if layout == "shards" else _Files(folder)


def layout_of(folder: Path) -> Layout:
    """How a data set's clips lie in its folder."""
    return "shards" if (folder / SHARD_INDEX).is_file() else "folders"


def _listed(source: Path) -> list[str]:
    """Every clip of any list, each once."""
    return list(dict.fromkeys(clip for path in sorted(source.glob("*.txt")) for clip in read_names(path)))


def _shapes(stored: ClipStore) -> dict[str, tuple[int, ...]]:
    shapes = {name: shape for name in stored.representations if (shape := stored.any_shape(name))}
    return {name: (shape[-1] // 3, 3) if _flat(name, shape) else shape[1:] for name, shape in shapes.items()}


def _motions(stored: ClipStore, clip: str) -> dict[str, np.ndarray]:
    """Every representation of a clip, finite float32, joints (T, J, 3)."""
    found = {}
    for name in stored.representations:
        if stored.has(clip, name):
            motion = checked_values(stored.read(clip, name), stored.place(clip, name))
            found[name] = motion.reshape(len(motion), -1, 3) if _flat(name, motion.shape) else motion
    return found


def _flat(representation: str, shape: tuple[int, ...]) -> bool:
    return representation == JOINTS and len(shape) == 2


def _text(stored: ClipStore, clip: str) -> str:
    return "".join(f"{line}\n" for _, line in stored.lines(clip) or ())
