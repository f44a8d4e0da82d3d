"""R-Precision: closed forms, ties, and what labels and distinct groups change."""

import torch
from torch.testing import assert_close

from motionrft.evaluation.metrics import (
    coin_flip_bound,
    consecutive_groups,
    distinct_groups,
    matching_distance,
    r_precision,
)


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
