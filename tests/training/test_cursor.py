"""Batches of like lengths out of an endless stream."""

import torch

from motionrft.training.cursor import StreamCursor


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
