"""Scores against the rules worked out by hand."""

from hypothesis import given
from hypothesis import strategies as st

from motionrft.preferences.scoring import KINDS, MISSING, event_score

A, B, C = [(0, 10)], [(20, 30)], [(40, 50)]


def test_integrity_is_the_share_that_happens() -> None:
    assert event_score("integrity", ("a", "b", "c"), 1, {"a": A, "c": C}) == 2 / 3


def test_temporal_is_the_share_of_pairs_in_order_a_quarter_at_least() -> None:
    seen = {"a": A, "b": B, "c": C}
    assert event_score("temporal", ("a", "b", "c"), 1, seen) == 1
    assert event_score("temporal", ("b", "a", "c"), 1, seen) == 2 / 3
    assert event_score("temporal", ("c", "b", "a"), 1, seen) == MISSING


def test_a_missing_event_leaves_a_quarter_at_most() -> None:
    assert event_score("temporal", ("a", "b"), 1, {"a": A, "b": []}) == MISSING / 2


def test_the_longest_interval_says_when() -> None:
    seen = {"a": [(0, 2), (30, 60)], "b": [(10, 20)]}
    assert event_score("temporal", ("b", "a"), 1, seen) == 1


def test_frequency_loses_by_the_relative_error() -> None:
    assert event_score("frequency", ("a",), 2, {"a": [(0, 1), (2, 3)]}) == 1
    assert event_score("frequency", ("a",), 2, {"a": [(0, 1)] * 3}) == 0.5
    assert event_score("frequency", ("a",), 1, {"a": [(0, 1)] * 5}) == 0


@given(
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19)), max_size=4)
    ),
    st.integers(1, 4),
)
def test_every_score_lies_between_nothing_and_all(kind, seen, count) -> None:  # type: ignore[no-untyped-def]
    events = ("a",) if kind == "frequency" else ("a", "b", "c")
    assert 0 <= event_score(kind, events, count, seen) <= 1
