"""Out of memory: halved, redone, said; at one item the run ends with advice."""

import pytest
import torch

from motionrft.errors import RunError
from motionrft.training.micro_batches import MicroBatches, is_out_of_memory


class Work:
    """Adds up noise for every item, and has room for only so many at a time."""

    def __init__(self, room: int) -> None:
        self.room, self.total, self.sizes = room, torch.zeros(()), []

    def __call__(self, part: slice) -> float:
        size = part.stop - part.start
        self.total = self.total + torch.rand(size).sum()
        self.sizes.append(size)
        if size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")
        return float(size)

    def restart(self) -> None:
        self.total, self.sizes = torch.zeros(()), []


@pytest.mark.parametrize(("room", "sizes"), [(8, [8]), (7, [4, 4]), (3, [2, 2, 2, 2]), (1, [1] * 8)])
def test_halves_until_it_fits_and_covers_the_batch(room: int, sizes: list[int]) -> None:
    said: list[str] = []
    micro, work = MicroBatches(say=said.append), Work(room)
    assert micro.run(8, work, work.restart) == [float(size) for size in sizes]
    assert work.sizes == sizes
    if room == 7:
        assert said == ["Out of memory: 4 items at a time instead of 8; the batch stays 8."]
    again = Work(room)
    micro.run(8, again, again.restart)
    assert len(again.sizes) == len(sizes)  # what was learned stays


def test_odd_batches_are_covered() -> None:
    work = Work(3)
    MicroBatches(size=3).run(7, work, work.restart)
    assert work.sizes == [3, 3, 1]


def test_a_retry_draws_what_the_failed_try_drew() -> None:
    torch.manual_seed(0)
    work = Work(4)
    MicroBatches().run(8, work, work.restart)
    torch.manual_seed(0)
    plain = Work(4)
    MicroBatches(size=4).run(8, plain, plain.restart)
    assert torch.equal(work.total, plain.total)


def test_one_item_that_does_not_fit_ends_the_run() -> None:
    work = Work(0)
    with pytest.raises(RunError, match=r"single item.*2\.00 GiB.*--batch"):
        MicroBatches().run(4, work, work.restart)


def test_other_errors_pass() -> None:
    def fail(part: slice) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        MicroBatches().run(4, fail, lambda: None)


def test_the_cpu_allocators_own_words_are_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value) and is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("can't allocate memory"))
