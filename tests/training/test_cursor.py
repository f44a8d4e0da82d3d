"""Batches of like lengths out of an endless stream."""

import torch

from motionrft.training.cursor import StreamCursor


def test_what_lies_ahead_is_what_is_given_out_and_visits_are_counted_across_an_epochs_end():
    cursor = StreamCursor(5, 2, seed=3, rank=1, processes=2)
    ahead = cursor.ahead(4)
    given = [cursor.visit() for _ in range(4)]
    assert all(
        torch.equal(a, b)
        for one, two in zip(ahead, given, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert [visits.tolist() for _, visits in given] == [[0, 0], [1, 1], [2, 2], [2, 3]]


def test_with_lengths_an_epoch_still_holds_every_item_once():
    cursor = StreamCursor(64, 4, seed=0, lengths=torch.arange(64) % 17)
    seen = torch.cat([cursor.next() for _ in range(16)])
    assert sorted(seen.tolist()) == list(range(64))


def test_with_lengths_most_padding_is_gone():
    lengths = torch.arange(256)

    def padding(cursor: StreamCursor) -> float:
        batches = [lengths[cursor.next()] for _ in range(32)]
        return float(sum((batch.max() - batch).sum() for batch in batches))

    plain, sorted_out = StreamCursor(256, 8, seed=0), StreamCursor(256, 8, seed=0, lengths=lengths)
    assert padding(sorted_out) < 0.5 * padding(plain)
