"""Several processes, one run: gradients averaged for real, one writer, one decision to stop.

Started by `torchrun` or `accelerate launch`; alone, every method is the identity and nothing is imported.
Gradients are averaged here and not by a wrapper round the network, because a fine-tuning update runs the network
in ways that such a wrapper does not see (several calls a backward, weights of another moment).
"""

import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from motionrft.errors import Interrupted, RunError, UserError, UserErrorElsewhere
from motionrft.training import process_group
from motionrft.training.packing import packed, unpack
from motionrft.training.seeds import item_seed
from motionrft.training.signals import INTERRUPTED, OrderlyEnd
from motionrft.training.signs_of_life import giving_signs
from motionrft.training.stop_notice import StopNotice

T = TypeVar("T")

_STOPPED = (
    "Stopped, as one of the processes was. What was saved stays: start all of them again with --resume."
)
LOST_ONE = "another process ended before its share was done; see what it said."
LOST_FIRST = "the first process failed; see what it said."
_PLACE = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK")
"""What a launcher says in the environment beside WORLD_SIZE."""
TIMEOUT = 600.0
"""Seconds after which a process that waits for another gives up."""


class Distribution:
    """The processes of one run, or the only one. Leave it as a context, so that nobody is cut off in mid-message, and
    so that all of them end as stopped where one of them was stopped.
    """

    _meetings = 0
    advice = "The last checkpoint is good: start all of them again with --resume."
    """What is to be done where a process is lost."""

    def __init__(self, rank: int = 0, processes: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.processes = rank, processes
        self.messages = 0
        """How many this process has sent: who has sent one cannot do its work again alone."""
        self._notice: StopNotice | None = None
        self._ending: OrderlyEnd | None = None
        self._signs: Any = None
        """The group in which the first process gives signs of life: no other message runs there."""
        self.device = device
        """This process's own device, or None: whatever was asked for."""

    @classmethod
    def join(cls, device: torch.device, timeout: float = TIMEOUT, *, own_card: bool = True) -> "Distribution":
        """Meet the other processes, if a launcher started several.

        Args:
            device: what the user asked for; a CUDA device becomes this process's own, and the current one.
            timeout: seconds to wait for a process that does not answer.
            own_card: whether tensors will travel between CUDA devices; two processes may share one where words do alone.

        Raises:
            UserError: several are said to run, and not where they meet; or they share a CUDA device and may not.
            RunError: one of them did not come.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count < 2:
            process_group.use(device)
            return cls(device=device)
        if missing := [name for name in _PLACE if name not in os.environ]:
            raise UserError(
                f"WORLD_SIZE is {count}, and {', '.join(missing)} not set: start the processes with torchrun or "
                "accelerate launch; or unset WORLD_SIZE."
            )
        try:
            return cls._met(device, datetime.timedelta(seconds=timeout), own_card)
        except RuntimeError as error:
            said = str(error).partition("\n")[0]
            raise RunError(
                f"The {count} processes did not meet ({said}). One of them has ended, or cannot reach the first; see "
                "what it said, and start all of them again."
            ) from error

    @classmethod
    def _met(cls, device: torch.device, limit: datetime.timedelta, own_card: bool) -> "Distribution":
        state = process_group.meet(device, limit)
        company = cls(state.process_index, state.num_processes, state.device)
        company._signs = torch.distributed.new_group(backend="gloo", timeout=limit)
        try:
            process_group.expect_a_device_each(company.gather(process_group.place_of(state.device, own_card)))
        except UserError:
            company.part()
            raise
        cls._meetings += 1
        company._notice = StopNotice(company.rank, company.processes, f"motionrft stop {cls._meetings}")
        return company

    def __enter__(self) -> "Distribution":
        if self._notice is not None:
            self._ending = OrderlyEnd(_STOPPED)
            self._ending.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if self._ending is not None:
            self._ending.__exit__(kind, error, trace)
        if self._notice is not None and (code := _stopped_with(error)) is not None:
            self._notice.tell(code)
        if (
            self._notice is not None
            and isinstance(error, Exception)
            and not isinstance(error, RunError | Interrupted)
        ):
            self._notice.leave()
        # Whoever fails, is stopped, or has lost the others meets nobody: they are in another message, or gone.
        self.part(wait=error is None)

    def part(self, wait: bool = True) -> None:
        """End the company in good order; from then on this process is alone, and keeps its rank.

        Args:
            wait: until all have come this far, so that nobody is cut off in mid-message. Not where one is lost.
        """
        if self.processes == 1:
            return
        if wait:
            with suppress(RunError):
                self.gather(None)
        if self._notice is not None:
            self._notice.close()
        process_group.leave(self.device, in_order=wait)
        self.processes = 1

    @property
    def main(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in few messages."""
        for part, flat in packed(tensors if self.processes > 1 else ()):
            self._reduce(flat, torch.distributed.ReduceOp.SUM)
            unpack(flat.div_(self.processes), part)

    def total(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.processes > 1:
            for tensor in tensors:
                self._reduce(tensor, torch.distributed.ReduceOp.SUM)

    def mean_for(self, rank: int, tensors: Sequence[Tensor]) -> None:
        """In the process `rank`, replace each tensor by its mean over all; what the others hold afterwards is nothing.

        In few messages; call it in every process, with tensors of the same shapes.
        """
        for part, flat in packed(tensors if self.processes > 1 else ()):
            self._guarded(torch.distributed.reduce, flat, rank)
            if self.rank == rank:
                unpack(flat.div_(self.processes), part)

    def sent_by(self, rank: int, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by what the process `rank` holds, in few messages."""
        for part, flat in packed(tensors if self.processes > 1 else ()):
            self._guarded(torch.distributed.broadcast, flat, rank)
            if self.rank != rank:
                unpack(flat, part)

    def mean(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """The mean over the processes of each float, and the largest of what is counted in bytes (`..._bytes`); other
        whole numbers and words as this process has them.
        """
        names = [name for name, value in metrics.items() if isinstance(value, float)]
        sizes = [name for name in metrics if name.endswith("_bytes")]
        if self.processes == 1 or not names + sizes:
            return dict(metrics)
        held = torch.zeros(
            self.processes, len(sizes), dtype=torch.float64
        )  # a row for each, summed in one message
        held[self.place] = torch.tensor([float(metrics[name]) for name in sizes], dtype=torch.float64)
        values = torch.tensor([metrics[name] for name in names], dtype=torch.float64)
        flat = torch.cat([values, held.flatten()])
        self._reduce(flat, torch.distributed.ReduceOp.SUM)
        means = dict(zip(names, (flat[: len(names)] / self.processes).tolist(), strict=True))
        most = flat[len(names) :].view(self.processes, len(sizes)).amax(0).tolist()
        return {**metrics, **means, **dict(zip(sizes, map(int, most), strict=True))}

    def largest(self, *flags: int) -> tuple[int, ...]:
        """The largest of each flag over the processes, so that all of them take the same decision."""
        if self.processes == 1:
            return flags
        values = torch.tensor(flags)
        self._reduce(values, torch.distributed.ReduceOp.MAX)
        return tuple(values.tolist())

    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank."""
        if self.processes == 1:
            return [value]
        values: list[Any] = [None] * self.processes
        self._guarded(torch.distributed.all_gather_object, values, value)
        return values

    def collected(self, count: int, work: Callable[[int], T]) -> list[T]:
        """`work(0)` to `work(count - 1)`, in order: each is done by one process, and all get them."""
        parts = self.gather([work(number) for number in range(self.place, count, self.processes)])
        return [parts[number % self.processes][number // self.processes] for number in range(count)]

    def sizes(self, count: int) -> list[int]:
        """How many of the first to the last of `count` rows each process takes, by rank."""
        whole, more = divmod(count, self.processes)
        return [whole + (rank < more) for rank in range(self.processes)]

    def within(self, count: int, first: int) -> list[int]:
        """How many of the `first` rows of a batch of `count` are each process's, by rank."""
        sizes = self.sizes(count)
        begins = [sum(sizes[:rank]) for rank in range(self.processes)]
        return [max(0, min(size, first - begin)) for size, begin in zip(sizes, begins, strict=True)]

    @property
    def place(self) -> int:
        """This process's place among those that are together: who has parted is alone, and first."""
        return self.rank if self.processes > 1 else 0

    def rows(self, count: int) -> slice:
        """This process's rows of a batch of `count`."""
        sizes = self.sizes(count)
        first = sum(sizes[: self.place])
        return slice(first, first + sizes[self.place])

    def share(self, counts: Tensor, sizes: Sequence[int] | None = None) -> Tensor | float:
        """By what a mean over this process's rows is multiplied, so that its mean over the processes is that of all.

        Averaged over the processes, gradients of a loss so weighed are those of the whole batch in one.

        Args:
            counts: (B,) numbers that each row of the whole batch brings into the mean.
            sizes: rows of each process; `sizes` of B where it is not said.
        """
        if self.processes == 1:
            return 1.0
        sizes = self.sizes(len(counts)) if sizes is None else sizes
        first = sum(sizes[: self.place])
        own = counts[first : first + sizes[self.place]]
        return self.processes * own.sum() / counts.sum()

    def check_batch(self, batch: int) -> None:
        """Raise `UserError` where a batch has not one row for each process."""
        if batch < self.processes:
            raise UserError(
                f"a batch of {batch} for {self.processes} processes: some would have nothing to do. Name a larger one, "
                "or start fewer processes."
            )

    def joined(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """The rows of all processes, so that a loss of them is that of the whole batch, in every process.

        Gradients reach this process's rows alone, times the number of processes: averaged over the processes, gradients
        of the weights are those of the whole batch in one.

        Args:
            own: (sizes[rank], ...), this process's rows. sizes: rows of each process.

        Returns:
            (sum of sizes, ...)
        """
        if self.processes == 1:
            return own
        sent = own.new_zeros(max(sizes), *own.shape[1:])
        sent[: len(own)] = own.detach()
        received = [torch.empty_like(sent) for _ in sizes]
        self._guarded(torch.distributed.all_gather, received, sent)
        parts = [part[:size] for part, size in zip(received, sizes, strict=True)]
        parts[self.rank] = own.detach() + self.processes * (own - own.detach())
        return torch.cat(parts)

    def own_chance(self, seed: int) -> None:
        """Let this process's global generators part from the others': no two drop the same numbers of their rows."""
        if self.processes > 1:
            torch.manual_seed(item_seed(seed, "process", self.rank))

    def first(self, work: Callable[[], T]) -> T | None:
        """Do something in the main process while the others wait; a user's mistake there is one everywhere.

        However long it takes, nobody gives up while the main process lives; where it fails, nobody waits on.

        Returns:
            The result in the main process, None in the others.

        Raises:
            UserErrorElsewhere: in the others, where the main process raises a `UserError`.
            RunError: in the others, where it raises anything else.
        """
        if self.processes == 1:
            return work() if self.main else None
        result, raised = None, None
        if self.main:
            with giving_signs(self._sign):
                try:
                    result = work()
                except (Interrupted, RunError):
                    raise  # who is stopped tells it otherwise, and whose run fails leaves without waiting
                except Exception as error:
                    raised = error
        word = torch.tensor([int(self.main)])
        self._guarded(self._sign, word)
        while not word:
            self._guarded(self._sign, word)
        failure = self.gather((isinstance(raised, UserError), str(raised)) if raised is not None else None)[0]
        if raised is not None:
            raise raised
        if failure is not None:
            by_user, said = failure
            raise UserErrorElsewhere(said) if by_user else RunError(LOST_FIRST)
        return result

    def known(self, work: Callable[[], T]) -> T:
        """`first`, with its result in every process."""
        return cast(T, self.told(self.first(work)))

    def told(self, value: T) -> T:
        """What the main process has, in every process."""
        found = [value]
        if self.processes > 1:
            self._guarded(torch.distributed.broadcast_object_list, found, 0)
        return found[0]

    def rounds(self, own: Iterator[T], size: int) -> Iterator[T]:
        """What all processes make of items that were dealt out in turn, in the order of these: in the main process.

        Nobody waits for more than `size` items of another, nor holds more of them. In the others nothing comes out, but
        they have to go through it as well.

        Args:
            own: results of this process's items, made as they are asked for.

        Raises:
            RunError: another process ended before its items were done.
        """
        if self.processes == 1:
            yield from own
            return
        while True:
            parts = self.gather(list(islice(own, size)))
            if not all(isinstance(part, list) for part in parts):
                raise RunError(LOST_ONE)
            if not any(parts):
                return
            if self.main:
                yield from (part[place] for place in range(size) for part in parts if place < len(part))

    def _sign(self, done: Tensor | None = None) -> None:
        """Whether the main process's work is done: it says so, (1,) 0 or 1, the others hear it."""
        word = torch.zeros(1, dtype=torch.int64) if done is None else done
        torch.distributed.broadcast(word, 0, self._signs)

    def _reduce(self, tensor: Tensor, operation: Any) -> None:
        self._guarded(torch.distributed.all_reduce, tensor, operation)

    def _guarded(self, communicate: Callable[..., Any], *arguments: Any) -> None:
        self.messages += 1
        try:
            communicate(*arguments)
        except RuntimeError as error:
            if self._notice is not None and self._notice.code is not None:
                OrderlyEnd.begin()
                raise Interrupted(_STOPPED, self._notice.code) from error
            raise RunError(
                f"Process {self.rank} of {self.processes} lost the others (one ended or was silent). {self.advice}"
            ) from error


ALONE = Distribution()
"""The company of a process that has none."""


def _stopped_with(error: BaseException | None) -> int | None:
    """The exit code of a process that was stopped by itself; None where all were, or none."""
    if isinstance(error, Interrupted):
        return None if error.together else error.exit_code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else None
