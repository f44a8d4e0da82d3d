"""Retrieval protocols: directions, ties, thresholds, groups."""

import torch
from torch.testing import assert_close

from motionrft.evaluation.metrics import (
    retrieval_32,
    small_batch_order,
    tmr_all,
    tmr_small_batches,
    tmr_threshold,
)


def _similarity(n=40, seed=0):
    return torch.rand(n, n, generator=torch.Generator().manual_seed(seed))


def test_ranks_equal_a_plain_sort():
    s = _similarity()
    ranks = torch.tensor([s[i].argsort(descending=True).tolist().index(i) for i in range(len(s))])
    result = tmr_all(s)
    assert_close(result["t2m/R03"].item(), 100 * (ranks < 3).float().mean().item())
    assert_close(result["t2m/MedR"].item(), ranks.double().quantile(0.5).item() + 1)


def test_swapping_sides_swaps_directions():
    s = _similarity()
    a, b = tmr_all(s), tmr_all(s.T)
    assert all(torch.equal(a[f"t2m/{k}"], b[f"m2t/{k}"]) for k in ("R01", "R05", "MedR"))


def test_a_tie_takes_the_mean_place():
    assert tmr_all(torch.ones(4, 4))["t2m/MedR"].item() == 2.5


def test_threshold_counts_motions_of_equal_texts():
    sentences = torch.eye(4)[[0, 0, 1, 2]]
    s = torch.eye(4)[[1, 0, 2, 3]]  # texts 0 and 1 find each other's motion
    assert tmr_all(s)["t2m/R01"].item() == 50
    assert tmr_threshold(s, sentences)["t2m/R01"].item() == 100


def test_32_candidates_are_small_batches_of_cosines():
    g = torch.Generator().manual_seed(3)
    text, motion = torch.randn(70, 6, generator=g), torch.randn(70, 6, generator=g)
    cosine = torch.nn.functional.cosine_similarity(text[:, None].double(), motion[None].double(), dim=2)
    order = small_batch_order(70)
    a, b = retrieval_32(text, motion, order), tmr_small_batches(cosine, order)
    assert_close(a["m2t/R05"], b["m2t/R05"])
    assert sorted(order.tolist()) == list(range(70))
