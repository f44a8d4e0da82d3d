"""R-Precision: closed forms, ties, and what labels and distinct groups change."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from motionrft.evaluation.metrics import (
    coin_flip_bound,
    consecutive_groups,
    distinct_groups,
    matching_distance,
    r_precision,
)
from motionrft.evaluation.metrics.exact import distances
from motionrft.evaluation.metrics.precision import _costs, _hit


def test_groups_drop_the_incomplete_tail():
    assert consecutive_groups(torch.arange(70), 32).tolist() == [list(range(32)), list(range(32, 64))]


def test_perfect_embeddings_score_one_and_distance_zero():
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    groups = consecutive_groups(torch.arange(64))
    assert_close(r_precision(x, x, groups), torch.ones(3, dtype=torch.float64))
    assert matching_distance(x, x, groups).item() == 0


def test_one_motion_for_every_text_scores_chance():
    text = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    motion = torch.ones(32, 8)
    assert_close(r_precision(text, motion, torch.arange(32)[None]), torch.tensor([1, 2, 3]).double() / 32)


def test_a_judge_that_knows_only_labels_sits_on_the_coin_flip_bound():
    labels = torch.randint(0, 9, (64,), generator=torch.Generator().manual_seed(1))
    x = torch.nn.functional.one_hot(labels).float()
    groups = consecutive_groups(torch.randperm(64, generator=torch.Generator().manual_seed(2)))
    assert_close(r_precision(x, x, groups), coin_flip_bound(labels, groups))
    assert_close(r_precision(x, x, groups, labels=labels), torch.ones(3, dtype=torch.float64))


def test_ties_between_right_and_wrong_follow_the_hypergeometric_law():
    # Four motions tied, two of them right: one place finds a right one with 1/2, two places with 1 - 1/6.
    labels = torch.tensor([0, 0, 1, 2])
    score = r_precision(torch.zeros(4, 2), torch.zeros(4, 2), torch.arange(4)[None], labels=labels)
    singles = torch.tensor([1 / 4, 2 / 4, 3 / 4], dtype=torch.float64)
    pair = torch.tensor([1 / 2, 5 / 6, 1.0], dtype=torch.float64)
    assert_close(score, (2 * pair + 2 * singles) / 4)


def test_distinct_groups_never_repeat_a_label_and_use_all_that_exist():
    labels = torch.tensor([0] * 20 + [1] * 3 + [2] + [3] * 9)
    groups = distinct_groups(labels, 32, 50, torch.Generator().manual_seed(0))
    assert groups.shape == (50, 4)
    assert all(len(set(labels[group].tolist())) == 4 for group in groups)
    assert len(groups.unique()) == len(labels)


@given(seed=st.integers(0, 999), copies=st.integers(1, 4), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_products_of_matrices_rank_as_differences_do_ties_included(seed, copies, scale):
    random = torch.Generator().manual_seed(seed)
    kinds = scale * torch.randn(8, 16, generator=random)
    motion = kinds[torch.randint(8 // copies, (64,), generator=random)]
    text = motion + scale * torch.randn(64, 16, generator=random)
    groups, right = torch.arange(64).view(2, 32), torch.eye(32, dtype=torch.bool).expand(2, -1, -1)
    exactly = distances(text[groups], motion[groups])
    ranked = _costs(text[groups], motion[groups], right)
    for top in (1, 3):
        assert torch.equal(_hit(ranked, right, top), _hit(exactly, right, top))
