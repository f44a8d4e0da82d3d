"""Sequences whose elements are made when they are asked for."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T", covariant=True)


class MadeSequence(Sequence[T]):
    """Indices from the end and slices, over one method that makes an element."""

    @abstractmethod
    def made(self, place: int) -> T:
        """The element at a place from 0 on, which exists."""

    @overload
    def __getitem__(self, number: int) -> T: ...
    @overload
    def __getitem__(self, number: slice) -> list[T]: ...
    def __getitem__(self, number: int | slice) -> T | list[T]:
        places = range(len(self))[number]
        return self.made(places) if isinstance(places, int) else [self.made(place) for place in places]
