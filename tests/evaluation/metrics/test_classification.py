"""Preference and authenticity: counts by hand."""

import torch

from motionrft.evaluation.metrics import authenticity_metrics, preference_metrics
from motionrft.reward.classification import official_swaps


def test_authenticity_counts():
    labels = torch.tensor([1, 1, 1, 0, 0])
    logits = torch.nn.functional.one_hot(torch.tensor([1, 1, 0, 1, 0])).float()
    m = authenticity_metrics(logits, labels)
    assert (m.true_positive, m.false_positive, m.false_negative, m.true_negative) == (2, 1, 1, 1)
    assert (m.accuracy, m.precision, m.recall) == (0.6, 2 / 3, 2 / 3)


def test_no_positive_prediction_is_zero_and_not_an_error():
    m = authenticity_metrics(torch.tensor([[1.0, 0.0]] * 3), torch.zeros(3, dtype=torch.long))
    assert (m.precision, m.recall, m.f1, m.accuracy) == (0, 0, 0, 1)


def test_a_tie_is_wrong_before_the_swap_and_swapped_after_it():
    scores = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    m = preference_metrics(scores, torch.tensor([True, False]))
    assert m.accuracy == 0.5 and m.swapped.accuracy == 1.0


def test_the_swap_is_the_published_one():
    assert official_swaps(8).int().tolist() == [1, 0, 0, 0, 1, 1, 1, 0]
