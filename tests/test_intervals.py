"""Intervals against textbooks and closed forms."""

import math

import pytest

from motionrft.intervals import Interval, replications, wilson


def test_interval_of_samples_is_students() -> None:
    interval = Interval.of([1.0, 2.0, 3.0])
    half = 4.302653 * 1.0 / math.sqrt(3)  # t of 97.5 % at two degrees of freedom
    found = (interval.mean, interval.low, interval.high)
    assert found == pytest.approx((2.0, 2.0 - half, 2.0 + half), abs=1e-5)
    assert interval.half_width == pytest.approx(half, abs=1e-5)
    assert Interval.of([4.0]) == Interval(4.0) and Interval(4.0).half_width == 0


def test_replications_of_a_constant_have_no_width_and_of_two_values_a_known_one() -> None:
    assert replications([5.0, 5.0]) == Interval(5.0, 5.0, 5.0)
    assert replications([1.0, 3.0]).half_width == pytest.approx(1.96 / 2**0.5, abs=1e-12)


def test_wilson_against_the_textbook() -> None:
    interval = wilson(0.5, 10)
    assert (interval.low, interval.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(1.0, 5).high == 1.0 and wilson(0.0, 5).low == pytest.approx(0.0)


def test_an_interval_is_sure_when_it_is_known_and_excludes_zero() -> None:
    assert Interval(1.0, 0.5, 1.5).sure and Interval(-1.0, -1.5, -0.5).sure
    assert not Interval(1.0, -0.5, 1.5).sure and not Interval(1.0).sure
