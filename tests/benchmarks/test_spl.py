"""How the benchmark of SPL counts: own motions among candidates, and changes over training seeds."""

import pytest
import torch

from tests.benchmarks.spl import changes, found_at, table


def test_a_text_looks_for_its_own_motion_among_the_candidates_of_its_group() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.7, 0.1], [0.1, 0.9, 0.2]])
    own = torch.tensor([0, 1, 2])
    found = found_at(similarity, own, torch.arange(3)[None])
    assert found["R@1"] == pytest.approx(100 / 3) and found["R@2"] == 100.0
    apart = found_at(similarity, own, torch.tensor([[0, 2]]))
    assert apart["R@1"] == 100.0, "motion 1 is no candidate, nor is its text asked"


def test_changes_are_those_of_training_seeds() -> None:
    runs = [{"32": {"R@3": value}} for value in (91.0, 92.0, 93.0)]
    found = changes({"32": {"R@3": 90.0}}, runs)["32"]["R@3"]
    assert found["change"] == pytest.approx(2.0) and found["half"] == pytest.approx(2.484, abs=1e-3)
    assert "| 32 | R@3 | 90.0 | +2.00 ± 2.48 |" in table({"32": {"R@3": found}})
    assert changes({"32": {"R@3": 90.0}}, runs[:1])["32"]["R@3"]["half"] is None
