"""What a language model of motion tokens learns from: composed events say what they hold, and all rows fit."""

import torch

from motionrft.pretraining.token_rows import RowBatches, TokenRow, TokenRows, compositions

ROWS = [
    TokenRow(torch.tensor([1, 2, 3]), ("a person bows",)),
    TokenRow(torch.tensor([4, 5]), ("someone raises the left hand", "the left hand goes up")),
    TokenRow(torch.arange(30), ("a person walks",)),
]


def test_composed_rows_are_their_events_tokens_in_the_order_told() -> None:
    made = list(compositions(ROWS, torch.ones(3), 60, 49, seed=0))
    assert len(made) == 60 and max(len(row.tokens) for row in made) <= 49
    bow, hand = [1, 2, 3], [4, 5]
    found = {row.texts[0]: row.tokens.tolist() for row in made}
    pairs = {text: codes for text, codes in found.items() if "bows" in text and "hand" in text}
    assert pairs
    for text, codes in pairs.items():
        first = text.index("bows") < text.index("raises")
        assert codes == (bow + hand if first else hand + bow), text
    for text, codes in found.items():
        if "three times" in text or "thrice" in text:
            assert codes in (bow * 3, hand * 3), text
        if "twice" in text or "two times" in text:
            assert codes in (bow * 2, hand * 2), text


def test_captions_that_are_no_clause_are_not_composed_of() -> None:
    alone = [TokenRow(torch.tensor([1]), ("the left hand goes up", "up"))]
    assert not list(compositions(alone * 2, torch.ones(2), 4, 49, 0))


def test_batches_hold_rows_of_like_length_and_depend_on_seed_and_step() -> None:
    rows = TokenRows(
        [TokenRow(torch.zeros(n, dtype=torch.long), ("x",)) for n in range(1, 41)], torch.ones(40)
    )
    batches, again = RowBatches(rows, 4, seed=3), RowBatches(rows, 4, seed=3)
    assert all(torch.equal(batches[step], again[step]) for step in range(16))
    spread = [
        int(batches.counts[batches[step]].max() - batches.counts[batches[step]].min()) for step in range(16)
    ]
    assert sum(spread) / len(spread) < 10, "a batch of any lengths spreads over 24 or so"
    assert not torch.equal(batches[0], RowBatches(rows, 4, seed=4)[0])


def test_rows_are_drawn_by_their_weights() -> None:
    rows = TokenRows([TokenRow(torch.zeros(2, dtype=torch.long), ("x",))] * 2, torch.tensor([3.0, 1.0]))
    batches = RowBatches(rows, 50, seed=0)
    drawn = torch.cat([batches[step] for step in range(40)])
    assert 0.7 < float((drawn == 0).float().mean()) < 0.8
