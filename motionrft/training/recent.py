"""What was read lately, up to so many bytes: the disk holds the rest."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was asked for longest ago once its values outgrow `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, which counts as read just now; None where it is not (or no longer) held."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Hold a value of `size` bytes; one larger than the limit is not held at all."""
        former = self._entries.pop(key, None)
        self.held -= former[1] if former else 0
        if size > self.limit:
            return
        self._entries[key] = (value, size)
        self.held += size
        while self.held > self.limit:
            _, (_, dropped) = self._entries.popitem(last=False)
            self.held -= dropped
