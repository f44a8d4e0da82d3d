"""A batch in pieces that fit: halved when memory runs out, the effective batch kept by accumulation."""

from collections.abc import Callable
from typing import TypeVar

import torch

from motionrft.errors import RunError
from motionrft.training.seeds import global_random_state, restore_global_random_state

T = TypeVar("T")


class MicroBatches:
    """How many items of a batch are worked on at once. Starts with all of them, or with what is asked for.

    Example:
        def piece(part: slice) -> Tensor:          # forward and backward of some items
            loss = losses(batch[part]).sum() / len(batch)
            loss.backward()
            return loss.detach()
        total = sum(micro.run(len(batch), piece, restart=optimiser.zero_grad))
    """

    def __init__(
        self,
        size: int | None = None,
        say: Callable[[str], None] | None = None,
        advice: str = "--batch, --lora",
    ) -> None:
        """
        Args:
            size: items at a time; None for the whole batch.
            say: told when the size is halved.
            advice: flags to try when even one item does not fit.
        """
        self.size, self.say, self.advice = size, say, advice

    def run(self, batch: int, work: Callable[[slice], T], restart: Callable[[], None]) -> list[T]:
        """Do `work` for every part of a batch, again in smaller parts if it does not fit.

        Args:
            work: adds its part's gradients to those of the earlier parts.
            restart: forgets the gradients of a failed try.

        Raises:
            RunError: a single item does not fit.
        """
        random = global_random_state()
        while True:
            size = min(self.size or batch, batch)
            try:
                return [work(slice(first, min(first + size, batch))) for first in range(0, batch, size)]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise does_not_fit(error, self.advice) from error
            # Outside the except block: the exception's traceback would keep the failed try's tensors alive.
            restart()
            torch.cuda.empty_cache()
            restore_global_random_state(random)
            self.size = (size + 1) // 2
            if self.say is not None:
                self.say(
                    f"Out of memory: {self.size} items at a time instead of {size}; the batch stays {batch}."
                )


def does_not_fit(error: BaseException, advice: str) -> RunError:
    """What to say when a single item is too much: the allocator's own words, and the flags to try."""
    needed = str(error).partition("\n")[0] or type(error).__name__
    return RunError(f"Out of memory with a single item at a time ({needed}). Try {advice}.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
