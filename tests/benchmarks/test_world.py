"""The proof on the wider world: what a prompt's opposites are, and what a table says of runs."""

import pytest

from motionrft.reward.opposites import opposites, parts
from tests.benchmarks.world import CONTROL, SHOWN, summary, table


@pytest.mark.parametrize(
    ("told", "other"),
    [
        ("a person bows, then walks forward", "a person walks forward, then bows"),
        ("first a man bows, then walks forward", "first a man walks forward, then bows"),
        ("a person bows and then walks", "a person walks and then bows"),
        ("the man bows and after that walks", "the man walks and after that bows"),
        ("a man bows before the person walks", "a man walks before the person bows"),
        ("after someone bows, the person walks", "after someone walks, the person bows"),
    ],
)
def test_the_opposite_of_an_order_tells_the_other_one_in_the_same_words(told: str, other: str) -> None:
    assert opposites(told) == [other]
    assert opposites(other) == [told]


@pytest.mark.parametrize(
    ("told", "comma"),
    [("a man bows twice", ""), ("a man bows, two times", ","), ("a man bows, and then does it again", "")],
)
def test_the_opposites_of_a_number_are_the_others(told: str, comma: str) -> None:
    assert opposites(told) == [f"a man bows{comma} once", f"a man bows{comma} three times"]


@pytest.mark.parametrize(
    "told", ["a man bows", "a man bows and waves", "a man raises a hand and then lowers it"]
)
def test_what_tells_no_order_and_no_number_has_no_opposite(told: str) -> None:
    assert opposites(told) == []


def runs(change: float, seeds: int = 3) -> list[dict[str, list[float]]]:
    return [{key: [0.5 + change + 0.01 * seed, 0.5 + change] for key in SHOWN} for seed in range(seeds)]


def test_a_gain_is_over_the_start_and_over_the_control_seed_by_seed() -> None:
    rows = summary({"before": runs(0.0, 1), "easytune": runs(0.1), CONTROL: runs(0.04)})
    assert rows["easytune"]["events/mean"]["change"] == pytest.approx(0.105)
    against = rows[f"easytune - {CONTROL}"]["events/mean"]
    assert against["change"] == pytest.approx(0.06)
    assert against["half"] == pytest.approx(0.0, abs=1e-9)


def test_one_training_seed_has_no_interval() -> None:
    rows = summary({"before": runs(0.0, 1), "easytune": runs(0.1, 1)})
    assert rows["easytune"]["events/mean"]["half"] is None
    assert "nan" in table(rows, {"easytune": [{"updates": 3}]})


def test_the_parts_of_a_prompt_are_its_events_alone() -> None:
    assert parts("first a man bows, then walks and turns left") == [
        "a man bows",
        "a man walks and turns left",
    ]
    assert parts("a man bows twice") == []
