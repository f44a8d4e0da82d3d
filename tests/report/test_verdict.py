"""The verdict: chance is not a change, a reward is not a judge, and a price is named."""

import numpy as np
import pytest

from motionrft.intervals import Interval
from motionrft.report.verdict import Row, names, verdict


def row(metric, before, change, half=0.01, **more):
    values = (Interval(before, before - half, before + half), Interval(before + change))
    return Row(metric, values, (Interval(change, change - half, change + half),), **more)


def test_pairing_removes_what_both_share():
    shared = np.array([0.1, 0.5, 0.9, 0.3, 0.7])
    paired = Row.paired("R@1", shared, shared + 0.02 + 0.001 * np.array([1, -1, 0, 1, -1]))
    assert paired.sign() == "better"
    assert paired.values[0].low < paired.values[1].mean  # unpaired, the two intervals overlap widely


def test_sign_follows_the_good_direction():
    assert row("R@1", 0.5, 0.1).sign() == "better"
    assert row("FID", 0.5, 0.1, good="down").sign() == "worse"
    assert row("FID", 0.5, 0.005, good="down").sign() == "same"
    assert row("words", 0.5, 0.1, good="none").sign() == "moved"
    assert row("Diversity", 5.0, 0.3, good="near", reference=5.6).sign() == "better"
    assert row("Diversity", 5.5, 0.9, good="near", reference=5.6).sign() == "worse"
    assert Row("R@1", (Interval(0.5), Interval(0.6))).sign() == "unknown"


@pytest.mark.parametrize(
    ("rows", "level", "says"),
    [
        ([row("R@1", 0.5, 0.1)], "better", "nothing measured got worse"),
        (
            [row("R@1", 0.5, 0.1), row("jitter", 90, 9, good="down", role="physics")],
            "better",
            "small price in jitter",
        ),
        ([row("R@1", 0.5, 0.1), row("jitter", 90, 40, good="down", role="physics")], "mixed", "high price"),
        ([row("R@1", 0.5, 0.1), row("FID", 1.0, 0.2, good="down")], "mixed", "FID got worse"),
        ([row("R@1", 0.5, -0.1)], "worse", "R@1"),
        ([row("R@1", 0.5, -0.1), row("reward", 0.4, 0.2, role="reward")], "worse", "exploited"),
        (
            [row("R@1", 0.5, 0.0), row("reward", 0.4, 0.2, role="reward")],
            "unclear",
            "no change beyond chance",
        ),
        ([row("reward", 0.4, 0.2, role="reward")], "unclear", "no independent judge"),
        ([row("R@1", 0.5, 0.0)], "unclear", "nothing beyond chance"),
        (
            [row("R@1", 0.5, 0.0), row("skating", 0.1, 0.05, good="down", role="physics")],
            "worse",
            "improved nothing",
        ),
        ([], "none", "no comparison"),
        ([Row("R@1", (Interval(0.5), None), (None,))], "none", "no comparison"),
    ],
)
def test_verdicts(rows, level, says):
    found = verdict(rows)
    assert found.level == level
    assert says in found.sentence


def test_only_headline_rows_can_win_but_any_judge_can_object():
    headline = row("R@1", 0.5, 0.0, headline=True)
    assert verdict([headline, row("Diversity", 5.0, 0.3)]).level == "unclear"
    assert verdict([headline, row("FID", 1.0, 0.2, good="down")]).level == "worse"


def test_what_did_not_move_is_said_beside_what_did():
    found = verdict([row("FID", 1.0, -0.2, good="down", headline=True), row("R@1", 0.5, 0.0, headline=True)])
    assert found.level == "better" and "No sure change in R@1" in found.sentence


def test_each_column_has_its_own_verdict():
    values = (Interval(0.5), Interval(0.6), Interval(0.4))
    changes = (Interval(0.1, 0.05, 0.15), Interval(-0.1, -0.15, -0.05))
    table = [Row("R@1", values, changes)]
    assert verdict(table, 1).level == "better" and verdict(table, 2).level == "worse"


def test_lists_are_read_aloud():
    rows = [row(name, 1, 1) for name in "ABCDE"]
    assert names(rows[:1]) == "A" and names(rows[:2]) == "A and B"
    assert names(rows[:3]) == "A, B and C" and names(rows) == "A, B, C and 2 more"


def test_a_change_too_small_to_matter_counts_as_none_however_sure() -> None:
    before, after = [0.0003, 0.0003, 0.0004], [0.0005, 0.0005, 0.0006]
    assert Row.paired("penetration", before, after, good="down").sign() == "worse"
    assert Row.paired("penetration", before, after, good="down", least=0.002).sign() == "same"
