"""A place in an endless, reproducible stream over a data set, small enough to be saved: one number."""

import torch

from motionrft.errors import UserError
from motionrft.training.seeds import generator_for


class StreamCursor:
    """Batches of indices from one permutation of the data set after another, each drawn from the seed.

    Batches are always full (they run over the end of an epoch). With several processes, each takes its share
    of a batch `processes` times larger, so that two processes see together what one with twice the batch sees
    alone.
    """

    def __init__(
        self, size: int, batch: int, seed: int, *, identity: str = "", rank: int = 0, processes: int = 1
    ) -> None:
        """
        Args:
            size: items in the data set.
            batch: items a process takes at a time.
            identity: the data set's hash; a saved cursor is refused by another data set.
        """
        if size < 1:
            raise UserError("The data set holds no items for this split: nothing to train on.")
        self.size, self.batch, self.seed, self.identity = size, batch, seed, identity
        self.rank, self.processes = rank, processes
        self.position = 0
        """Items given out so far, by all processes."""
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def epoch(self) -> float:
        """How often the data set has been seen, fractions included."""
        return self.position / self.size

    def next(self) -> torch.Tensor:
        """(batch,) int64 indices of this process's next batch."""
        first = self.position + self.rank * self.batch
        self.position += self.batch * self.processes
        return torch.stack([self._item(place) for place in range(first, first + self.batch)])

    def state_dict(self) -> dict[str, object]:
        return {"position": self.position, "identity": self.identity, "size": self.size}

    def load_state_dict(self, state: dict) -> None:
        if (state["identity"], state["size"]) != (self.identity, self.size):
            raise UserError(
                f"The data set has changed since the checkpoint ({state['size']} items, now {self.size}). "
                "Resume with the data it was started with."
            )
        self.position = state["position"]

    def _item(self, place: int) -> torch.Tensor:
        epoch, index = divmod(place, self.size)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(self.size, generator=generator_for(self.seed, "epoch", epoch))
        return self._order[index]
