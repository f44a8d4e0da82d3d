"""A split list becomes items: each listed clip is looked at once, and remembered while its files stay what they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionrft.data.captions import Caption, parse_captions
from motionrft.data.items import Items
from motionrft.files.clip_names import read_names
from motionrft.files.clip_store import ClipStore
from motionrft.parsing import csv_stream
from motionrft.training.recent import Recent

_SPLITS = 4
"""Splits whose items are remembered: a run opens its two or three several times."""


@dataclass(frozen=True)
class OpenedSplit:
    """The items of a split, and a sentence for each listed clip that is left out because it holds NaN or infinity."""

    items: Items
    left_out: tuple[str, ...]


_opened: Recent[tuple[object, ...], tuple[str, OpenedSplit]] = Recent(_SPLITS)


def open_split(
    clips: ClipStore, split_list: Path, fps: float, min_frames: int, max_frames: int
) -> OpenedSplit:
    """The items of a list of clips, in its order.

    Every motion is read once for NaN; a process that opens a split again only looks whether its files have changed.

    Args:
        fps: at which captions of a part of a clip count.
        min_frames: shorter items are left out. max_frames: longer ones are cut to their first frames.

    Raises:
        UserError: the list, a motion, captions or `index.csv` is damaged, or a name leads out of the folder.
    """
    names = read_names(split_list)
    index = clips.root / "index.csv"
    found_index = index.stat() if index.is_file() else None
    stamp = f"{found_index and (found_index.st_mtime_ns, found_index.st_size)} {clips.stamp(names)}"
    key = (clips.root.resolve(), split_list.name, fps, min_frames, max_frames)
    known = _opened.get(key)
    if known is None or known[0] != stamp:
        found = _Reading(clips, fps, min_frames, max_frames, _labels(clips.root))
        known = stamp, found.of(names)
        _opened.put(key, known, 1)
    return known[1]


@dataclass(frozen=True)
class _Reading:
    """labels: by clip."""

    clips: ClipStore
    fps: float
    min_frames: int
    max_frames: int
    labels: Mapping[str, str]

    def of(self, names: Sequence[str]) -> OpenedSplit:
        items, left_out = Items(), list[str]()
        for name in names:
            frames, fault = self.clips.frames(name)
            if fault is not None:
                left_out.append(f"{fault} Left out.")
            lines = None if frames is None else self.clips.lines(name)
            if frames is not None and lines is not None:
                captions = parse_captions(lines, self.clips.place(name))
                for start, end, told in self._parts(captions, frames):
                    if end - start >= self.min_frames:
                        items.add(name, told, start, end, self.labels.get(name))
        return OpenedSplit(items, tuple(left_out))

    def _parts(
        self, captions: Sequence[Caption], frames: int
    ) -> Iterator[tuple[int, int, tuple[Caption, ...]]]:
        """Start, end and captions of a clip's items: the whole clip, then each part with a caption of its own."""
        whole = tuple(caption for caption in captions if caption.whole)
        if whole:
            yield 0, min(frames, self.max_frames), whole
        for caption in captions:
            if not caption.whole:
                start, end = int(caption.start * self.fps), min(int(caption.end * self.fps), frames)
                yield start, min(end, start + self.max_frames), (caption,)


def _labels(folder: Path) -> dict[str, str]:
    """What kind of motion a clip is, where `index.csv` says it."""
    columns = index_columns(folder, ("content", "style"))
    if not columns.get("style"):
        return {}
    kinds: dict[str, str] = {}  # one string a kind, not one a clip
    styles = columns["style"]
    named = ((clip, f"{content}/{styles[clip]}") for clip, content in columns.get("content", {}).items())
    return {clip: kinds.setdefault(kind, kind) for clip, kind in named}


def index_columns(folder: Path, wanted: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns of a data set's `index.csv` by clip, those of the wanted ones that it has.

    Raises:
        UserError: it is damaged, lacks `clip_id`, or has a clip twice that differs there.
    """
    path = folder / "index.csv"
    if not path.is_file():
        return {}
    columns, rows = csv_stream(path)
    found: dict[str, dict[str, str]] = {name: {} for name in wanted if name in columns}
    if not found:
        return {}
    for place, row in rows:
        if "clip_id" not in columns:
            place.line = None
            place.fail(f"no column 'clip_id'; it has {', '.join(columns)}.")
        for name, column in found.items():
            if column.setdefault(row["clip_id"], row[name]) != row[name]:
                place.fail(f"the clip {row['clip_id']!r} is there twice, with another {name}.")
    return found
