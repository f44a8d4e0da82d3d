"""A long list of texts in little memory: their bytes behind each other, and where each ends."""

from array import array
from collections.abc import Iterable, Iterator

from motionrft.sequences import MadeSequence


class Strings(MadeSequence[str]):
    """Texts by number. One costs its UTF-8 bytes and 8 more; a Python string has 50 beside its letters."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes, self._ends = bytearray(), array("q")
        for text in texts:
            self.append(text)

    def append(self, text: str) -> int:
        """Add a text; returns its number."""
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))
        return len(self._ends) - 1

    def __len__(self) -> int:
        return len(self._ends)

    def made(self, place: int) -> str:
        start = self._ends[place - 1] if place else 0
        return self._bytes[start : self._ends[place]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    @property
    def nbytes(self) -> int:
        return len(self._bytes) + len(self._ends) * self._ends.itemsize
