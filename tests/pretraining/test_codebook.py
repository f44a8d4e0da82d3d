"""A codebook by running means: where codes end, and what becomes of those that nobody uses."""

import torch

from motionrft.generators.motiongpt_vq import Codebook
from motionrft.pretraining.codebook import RunningCodebook
from motionrft.pretraining.preset import CodebookPart


def running(codes: int = 4, **settings: object) -> RunningCodebook:
    return RunningCodebook(Codebook(codes, 2), CodebookPart.model_validate(settings))


def none(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.zeros(shape)


def test_codes_end_at_the_means_of_what_falls_on_them() -> None:
    book = running(2, decay=0.5, dead=0.0)
    rows = torch.tensor([[0.0, 0.0], [4.0, 0.0], [1.0, 1.0], [5.0, 1.0]])
    book.fill(rows, none)
    for _ in range(40):
        book.update(rows, torch.tensor([0, 1, 0, 1]), none, None)
    torch.testing.assert_close(book.codebook.codebook, torch.tensor([[0.5, 0.5], [4.5, 0.5]]))
    assert book.counts is not None
    torch.testing.assert_close(book.counts, torch.tensor([2.0, 2.0]))


def test_a_dead_code_starts_anew_at_a_row_of_the_batch() -> None:
    book, draws = running(2, decay=0.5, dead=0.6), torch.Generator().manual_seed(0)
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [7.0, 7.0]])
    book.fill(rows, none)
    book.update(rows, torch.tensor([0, 0, 0]), none, draws)
    assert book.counts is not None
    assert book.counts.tolist() == [2.0, 1.0], "the second is counted anew"
    assert book.codebook.codebook[1].tolist() in rows.tolist()


def test_fewer_rows_than_codes_are_tiled_with_noise() -> None:
    book = running(5)
    book.fill(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), lambda shape: torch.ones(shape))
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]) + 0.01 / 2**0.5
    torch.testing.assert_close(book.codebook.codebook, expected)
    before = book.codebook.codebook.clone()
    book.fill(torch.zeros(9, 2), none)
    assert torch.equal(book.codebook.codebook, before), "it is filled once"
