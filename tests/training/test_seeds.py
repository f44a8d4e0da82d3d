"""Seeds per item and the data cursor (fault 29)."""

import subprocess
import sys

import pytest
import torch

from motionrft.errors import UserError
from motionrft.training.cursor import StreamCursor
from motionrft.training.seeds import generator_for, item_seed


def test_seeds_are_the_same_in_every_process() -> None:
    code = "from motionrft.training.seeds import item_seed; print(item_seed(3, 'a person walks', 7))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(other) == item_seed(3, "a person walks", 7) < 2**63


def test_different_items_have_different_seeds() -> None:
    keys = [(0,), (1,), (0, 0), (0, "0"), (0, 1), (1, 0), (0, "a", "b"), (0, "ab"), (0, "ab", ""), (-1,)]
    assert len({item_seed(*key) for key in keys}) == len(keys)


def test_noise_of_an_item_knows_nothing_of_its_batch() -> None:
    alone = torch.randn(3, generator=generator_for(0, "prompt", 1))
    batch = [torch.randn(3, generator=generator_for(0, "prompt", i)) for i in (4, 1, 2)]
    assert torch.equal(alone, batch[1])


def test_every_item_is_seen_once_an_epoch_and_batches_are_full() -> None:
    cursor = StreamCursor(10, batch=4, seed=0)
    seen = torch.cat([cursor.next() for _ in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    assert cursor.epoch == 2.0


def test_cursor_goes_on_where_it_was() -> None:
    whole, first, second = (StreamCursor(7, batch=3, seed=1, identity="d") for _ in range(3))
    expected = [whole.next() for _ in range(9)]
    for _ in range(4):
        first.next()
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(a, second.next()) for a in expected[4:])


def test_processes_share_what_one_with_a_larger_batch_sees() -> None:
    alone = StreamCursor(7, batch=6, seed=1)
    ranks = [StreamCursor(7, batch=3, seed=1, rank=rank, processes=2) for rank in range(2)]
    for _ in range(5):
        assert torch.equal(alone.next(), torch.cat([rank.next() for rank in ranks]))


def test_another_data_set_is_refused() -> None:
    state = StreamCursor(7, batch=3, seed=1, identity="d").state_dict()
    for other in (StreamCursor(8, 3, 1, identity="d"), StreamCursor(7, 3, 1, identity="e")):
        with pytest.raises(UserError, match="data set has changed"):
            other.load_state_dict(state)
    with pytest.raises(UserError, match="no items"):
        StreamCursor(0, 3, 1)
