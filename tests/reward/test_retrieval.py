"""Recall among candidates, counted by hand."""

import pytest
import torch

from motionrft.reward.retrieval import (
    distinct_groups,
    protocol_in_words,
    recall,
    recall_protocols,
    shuffled_groups,
)


def test_groups_hold_everybody_once_but_the_tail() -> None:
    groups = shuffled_groups(70)
    assert groups.shape == (2, 32)
    assert len(set(groups.flatten().tolist())) == 64
    assert torch.equal(groups, shuffled_groups(70))
    assert shuffled_groups(5).shape == (1, 5)


def test_recall_by_hand() -> None:
    text = torch.eye(3)
    motion = text[[1, 0, 2]]  # the first two are swapped
    found = recall(text, motion, torch.arange(3)[None])
    assert found["t2m/R1"] == found["m2t/R1"] == pytest.approx(100 / 3)
    assert found["t2m/R2"] == found["t2m/R3"] == 100.0


def test_a_judge_to_whom_all_is_one_or_nothing_a_number_finds_nothing() -> None:
    for motion in (torch.ones(32, 4), torch.full((32, 4), torch.nan)):
        found = recall(torch.randn(32, 4), motion, torch.arange(32)[None])
        assert all(value == 0 for name, value in found.items() if name.startswith("t2m"))


def test_label_recall_accepts_the_same_kind() -> None:
    text, motion = torch.eye(3), torch.eye(3)[[1, 0, 2]]
    labels = torch.tensor([0, 0, 1])
    assert recall(text, motion, torch.arange(3)[None], labels)["t2m/R1"] == 100.0


def test_distinct_groups_have_no_kind_twice() -> None:
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 3])
    for group in distinct_groups(labels, 5):
        kinds = labels[group].tolist()
        assert len(set(kinds)) == len(kinds) == 4


def test_protocols_need_labels_for_two_of_three() -> None:
    z = torch.randn(40, 8)
    assert set(recall_protocols(z, z, None)) == {"raw"}
    assert set(recall_protocols(z, z, torch.zeros(40, dtype=torch.int64))) == {"raw", "label"}
    found = recall_protocols(z, z, torch.arange(40) % 5)
    told = [protocol_in_words(name, found[name]) for name in ("raw", "label", "distinct")]
    assert told == ["raw", "label", "distinct, among 5"]
