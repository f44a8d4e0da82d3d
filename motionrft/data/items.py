"""The items of a split: which clip, which frames, what its captions say; a million of them in a few numbers each."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data.captions import Caption
from motionrft.sequences import MadeSequence
from motionrft.strings import Strings


@dataclass(frozen=True)
class Item:
    """One training item: a whole clip, or the part of a clip that its captions describe.

    key: unique name; `clip` for a whole clip, `clip@start-end` for a part.
    start, end: frames of the clip, end exclusive.
    label: what kind of motion it is (content and style), or None where the data set does not say.
    """

    key: str
    clip: str
    captions: tuple[Caption, ...]
    start: int
    end: int
    label: str | None = None

    @property
    def length(self) -> int:
        return self.end - self.start


class Items(MadeSequence[Item]):
    """Items by number, made when they are asked for: kept are columns, about 80 bytes an item beside its words."""

    def __init__(self) -> None:
        self._clips, self._clip_of = Strings(), array("q")
        self._start, self._end, self._label = array("i"), array("i"), array("i")
        self._labels: dict[str, int] = {}
        self._first = array("q", [0])
        """Where each item's captions begin; one more than there are items."""
        self._texts, self._tokens, self._times = Strings(), Strings(), array("d")

    def add(
        self, clip: str, captions: Sequence[Caption], start: int, end: int, label: str | None = None
    ) -> None:
        """Add an item of a clip; those of one clip come after each other. Its captions are all whole, or of one part."""
        if not self._clips or self._clips[-1] != clip:
            self._clips.append(clip)
        self._clip_of.append(len(self._clips) - 1)
        self._start.append(start)
        self._end.append(end)
        self._label.append(-1 if label is None else self._labels.setdefault(label, len(self._labels)))
        for caption in captions:
            self._texts.append(caption.text)
            self._tokens.append(" ".join(caption.tokens))
            self._times.extend((caption.start, caption.end))
        self._first.append(len(self._texts))

    def __len__(self) -> int:
        return len(self._start)

    def made(self, place: int) -> Item:
        clip, start, end = self._clips[self._clip_of[place]], self._start[place], self._end[place]
        captions = tuple(map(self._caption, range(self._first[place], self._first[place + 1])))
        key = clip if captions[0].whole else f"{clip}@{start}-{end}"
        return Item(key, clip, captions, start, end, self._name_of(self._label[place]))

    def clip(self, number: int) -> str:
        """Of which clip an item is."""
        return self._clips[self._clip_of[number]]

    def text(self, number: int, caption: int = 0) -> str:
        """What a caption of an item says."""
        return self._texts[range(self._first[number], self._first[number + 1])[caption]]

    @property
    def caption_counts(self) -> Tensor:
        """(N,) int64 captions of each item."""
        return torch.frombuffer(self._first, dtype=torch.int64).diff()

    @property
    def texts(self) -> Strings:
        """What every caption says, item by item."""
        return self._texts

    @property
    def clips(self) -> Strings:
        """Every clip that has an item, in order."""
        return self._clips

    @property
    def lengths(self) -> Tensor:
        """(N,) int64 frames."""
        return _tensor(self._end) - _tensor(self._start)

    @property
    def labels(self) -> Tensor | None:
        """(N,) int64, numbered as their names are sorted; None where an item has none."""
        codes = _tensor(self._label)
        if (codes < 0).any():
            return None
        rank = {name: number for number, name in enumerate(sorted(self._labels))}
        return torch.tensor([rank[name] for name in self._labels], dtype=torch.int64)[codes]

    @property
    def nbytes(self) -> int:
        """Bytes that all this takes."""
        columns = (self._clip_of, self._start, self._end, self._label, self._first, self._times)
        texts = self._clips, self._texts, self._tokens
        return sum(len(each) * each.itemsize for each in columns) + sum(each.nbytes for each in texts)

    def _caption(self, row: int) -> Caption:
        start, end = self._times[2 * row], self._times[2 * row + 1]
        return Caption(self._texts[row], tuple(self._tokens[row].split()), start, end)

    def _name_of(self, code: int) -> str | None:
        if code < 0:
            return None
        if len(self._names) < len(self._labels):
            self._names = list(self._labels)
        return self._names[code]

    _names: Sequence[str] = ()


def _tensor(column: "array[int]") -> Tensor:
    return torch.frombuffer(column, dtype=torch.int32).long() if column else torch.zeros(0, dtype=torch.int64)
