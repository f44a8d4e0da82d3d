"""A place in an endless, reproducible stream over a data set, small enough to be saved: one number."""

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.training.seeds import generator_for

_GROUP = 8
"""Batches that share their items out by length: half of the padding is gone, and batches still vary."""


class StreamCursor:
    """Batches of indices from one permutation of the data set after another, each drawn from the seed.

    Batches are always full (they run over the end of an epoch). With several processes, each takes its share
    of a batch `processes` times larger, so that two processes see together what one with twice the batch sees
    alone. Where the items' lengths are known, a few batches share their items out by length, so that little of a
    batch is padding.
    """

    def __init__(
        self,
        size: int,
        batch: int,
        seed: int,
        *,
        identity: str = "",
        rank: int = 0,
        processes: int = 1,
        lengths: Tensor | None = None,
    ) -> None:
        """
        Args:
            size: items in the data set.
            batch: items a process takes at a time.
            identity: the data set's hash; a saved cursor is refused by another data set.
            lengths: (size,) of the items, or None to leave the permutation as it is drawn.
        """
        if size < 1:
            raise UserError("The data set holds no items for this split: nothing to train on.")
        self.size, self.batch, self.seed, self.identity = size, batch, seed, identity
        self.rank, self.processes, self.lengths = rank, processes, lengths
        self.position = 0
        """Items given out so far, by all processes."""
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def epoch(self) -> float:
        """How often the data set has been seen, fractions included."""
        return self.position / self.size

    def next(self) -> Tensor:
        """(batch,) int64 indices of this process's next batch."""
        return self.visit()[0]

    def visit(self) -> tuple[Tensor, Tensor]:
        """The next batch, (batch,) indices, and how often each of its items was given out before, (batch,)."""
        found = self.ahead(1)[0]
        self.position += self.batch * self.processes
        return found

    def ahead(self, batches: int) -> list[tuple[Tensor, Tensor]]:
        """What the next calls of `visit` will give, (B,) each, without moving on."""
        starts = [
            self.position + (number * self.processes + self.rank) * self.batch for number in range(batches)
        ]
        places = [range(first, first + self.batch) for first in starts]
        return [
            (torch.stack([self._item(place) for place in row]), torch.tensor(row) // self.size)
            for row in places
        ]

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
            draws = generator_for(self.seed, "epoch", epoch)
            self._order = torch.randperm(self.size, generator=draws)  # (N,)
            if self.lengths is not None:
                self._order = shared_out(self._order, self.lengths, self.batch * self.processes, draws)
        return self._order[index]


def shared_out(order: Tensor, lengths: Tensor, batch: int, draws: torch.Generator) -> Tensor:
    """The same items (N,), those of each few neighbouring batches sorted by length into batches, the batches shuffled."""
    batches: list[Tensor] = []
    for chunk in order.split(_GROUP * batch):
        pieces = chunk[lengths[chunk].argsort(stable=True)].split(batch)
        batches += [pieces[int(i)] for i in torch.randperm(len(pieces), generator=draws)]
    return torch.cat(batches)  # (N,)
