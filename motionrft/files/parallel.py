"""The same work on many files, in this process or in several: of this machine, and of those that a launcher started."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from motionrft.errors import RunError
from motionrft.training.distribution import ALONE, Distribution

Item = TypeVar("Item")
Result = TypeVar("Result")
_LARGEST_CHUNK = 16
_ROUND = 64
"""Results of a process that are sent together to the first process of a company."""


def mapped(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    company: Distribution = ALONE,
) -> Iterator[Result]:
    """`work` over all items, results in order.

    With processes, `work` must be picklable and come from a module, not from the script that runs.

    Args:
        processes: that are started for it, by each of the company.
        company: deals the items out, which are the same in all of it; results come out in its first process alone.

    Raises:
        RunError: a process died, which is nearly always for want of memory.
    """
    own = _mapped(work, items[company.place :: company.processes], processes)
    return company.rounds(own, _ROUND * max(1, processes))


def _mapped(work: Callable[[Item], Result], items: Sequence[Item], processes: int) -> Iterator[Result]:
    processes = min(processes, len(items))  # every one of them is started at once
    if processes <= 1:
        yield from map(work, items)
        return
    # Forking a process that has used torch's threads can hang the child.
    context = multiprocessing.get_context("spawn")
    chunk = max(1, min(_LARGEST_CHUNK, len(items) // (4 * processes)))
    try:
        # `work` is sent once a process, not with every item: a recipe may name a hundred thousand files.
        with ProcessPoolExecutor(processes, context, _begin, (work,)) as pool:
            with _main_hidden():
                results = pool.map(_done, items, chunksize=chunk)
            yield from results
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process was killed, probably for want of memory. Use fewer --jobs."
        ) from error


_work: Callable[[Any], Any]
"""Of a process of the pool: what it does with each item."""


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    torch.set_num_threads(1)
    _work = work


def _done(item: Any) -> Any:
    return _work(item)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Start processes that do not run the caller's script again.

    A spawned process imports the main script first; one without the usual guard, as some installers write for
    console commands, would begin all over in every worker.
    """
    main = sys.modules["__main__"]
    names = ("__file__", "__spec__")
    hidden: dict[str, Any] = {name: main.__dict__.pop(name) for name in names if name in main.__dict__}
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)
