"""Numbers show what the interval supports."""

import pytest

from motionrft.intervals import Interval
from motionrft.report.numbers import digits_of, digits_of_change, number, percent, spread, tick_labels, ticks
from motionrft.report.table import table_html
from motionrft.report.verdict import Row


@pytest.mark.parametrize(
    ("half", "digits"),
    [(0.012, 3), (0.0053, 3), (0.05, 2), (0.5, 1), (2.2, 1), (5.0, 0), (40.0, 0), (1e-9, 3)],
)
def test_digits_follow_the_interval(half, digits):
    assert digits_of(Row("x", (Interval(1.0, 1.0 - half, 1.0 + half),))) == digits


def test_digits_without_interval_follow_the_value():
    assert digits_of(Row("x", (Interval(0.52),))) == 3
    assert digits_of(Row("x", (Interval(5231.0),))) == 0


def test_numbers_have_a_true_minus_and_no_negative_zero():
    assert number(-0.5, 2) == "−0.50"
    assert number(-0.001, 2) == "0.00"
    assert number(0.25, 1, signed=True) == "+0.2"
    assert number(float("nan"), 2) == "n/a"
    assert number(1234567.0, 0) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"


def test_spread_names_both_ends_when_they_differ():
    assert spread(Interval(0.5, 0.4, 0.6), 2) == "± 0.10"
    assert spread(Interval(0.5, 0.45, 0.7), 2) == "0.45 to 0.70"
    assert spread(Interval(0.5), 2) == ""


def test_percent():
    assert percent(0.147) == "+15 %" and percent(-0.076) == "−7.6 %"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 17), (0.612, 0.688), (0, 300), (1e6, 9e6), (2, 2)])
def test_ticks_are_round_inside_and_few(low, high):
    marks = ticks(low, high)
    assert 1 <= len(marks) <= 7
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in marks)
    assert len(set(tick_labels(marks))) == len(marks)


def test_big_and_tiny_ticks_are_short():
    assert tick_labels([0, 20_000, 40_000]) == ["0", "20k", "40k"]
    assert tick_labels([-2e7, 0, 2e7]) == ["−20M", "0", "20M"]
    assert tick_labels([0, 2e-5, 4e-5]) == ["0", "2e−5", "4e−5"]
    assert tick_labels([0, 0.5, 1]) == ["0.0", "0.5", "1.0"]


def test_not_a_number_has_digits_too():
    assert digits_of(Row("x", (Interval(float("nan")),))) == 3


def test_a_change_that_is_surely_not_zero_is_not_shown_as_zero():
    small = Interval(-0.00042, -0.00050, -0.00034)
    assert number(small.mean, digits_of_change(small, 3), signed=True) == "−0.00042"
    assert digits_of_change(Interval(-0.00042, -0.002, 0.001), 3) == 3  # chance
    assert digits_of_change(Interval(-0.42, -0.5, -0.3), 2) == 2


def test_no_percentage_stands_beside_a_change_of_zero():
    row = Row(
        "skating",
        (Interval(0.0004, 0.0, 0.02), Interval(0.0003, 0.0, 0.02)),
        (Interval(-0.0001, -0.02, 0.02),),
    )
    assert 'class="share"' not in table_html([row], ("before", "after"))
