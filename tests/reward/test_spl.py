"""Self-refinement: which rows fail, and what the losses say of them."""

import math

import pytest
import torch

from motionrft.reward.spl import objective as spl
from motionrft.reward.spl import ranking


def test_a_retrieval_fails_beyond_the_k_best() -> None:
    similarity = torch.tensor([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1], [0.2, 0.3, 0.1]])
    own = torch.tensor([0, 1, 2])
    failed, negative = spl.mine(similarity, own, k=1)
    assert failed.tolist() == [False, True, True]
    assert negative.tolist() == [1, 0, 1]
    failed, _ = spl.mine(similarity, own, k=2)
    assert failed.tolist() == [False, False, True]


def test_near_duplicates_are_no_negatives() -> None:
    similarity = torch.tensor([[0.5, 0.9, 0.4]])
    failed, negative = spl.mine(similarity, torch.tensor([0]), 1, torch.tensor([[False, True, False]]))
    assert failed.tolist() == [False] and negative.tolist() == [2]


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_the_best_alone_are_asked_and_the_answer_is_that_of_all(
    alike: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Own motions are easy, hard and hopeless to find; where most are masked, the best do not decide at first."""
    monkeypatch.setattr(ranking, "_FIRST", 1)
    monkeypatch.setattr(ranking, "_GROUP", 4)
    draws, k = torch.Generator().manual_seed(0), 2
    similarity = torch.randn(60, 301, generator=draws)
    own = torch.randperm(301, generator=draws)[:60]
    similarity[torch.arange(60), own] = torch.linspace(-2.0, 3.5, 60)
    similarity[:, :7] = float("-inf")  # of the caption's kind
    masked = torch.rand(60, 301, generator=draws) < alike
    expected, negative = spl.mine(similarity, own, k, masked)
    rows = {int(each): row for row, each in enumerate(own)}

    def asked(captions: torch.Tensor, motions: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [masked[rows[int(one)], those] for one, those in zip(captions, motions, strict=True)]
        )

    failed, found = ranking.failed_retrievals(similarity.clone(), own, k, asked, 4)
    assert 5 < expected.sum() < 60 and torch.equal(failed, expected)
    assert torch.equal(found[failed], negative[expected])


def test_refinement_uses_failed_rows_alone() -> None:
    own, negative = torch.tensor([0.2, 0.9]), torch.tensor([0.5, 0.1])
    loss = spl.refinement_loss(own, negative, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(3.0)))
    assert spl.refinement_loss(own, negative, torch.tensor([False, False])).item() == 0.0


def test_large_gaps_stay_finite() -> None:
    text = torch.eye(12)[:, :12].requires_grad_()
    motion = text.roll(1, dims=0)
    loss = spl.official_loss(text, motion, k=1, high=2.0)
    loss.backward()
    assert torch.isfinite(loss) and text.grad is not None and torch.isfinite(text.grad).all()


def test_small_batches_are_no_failure() -> None:
    z = torch.randn(3, 4)
    assert torch.isfinite(spl.official_loss(z, z, k=10))
