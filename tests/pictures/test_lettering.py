"""Captions fit."""

import pytest

from motionrft.pictures.lettering import font_for, wrap

LONG = "a person walks forward, turns around twice, and sits down on a chair that is not there " * 4


@pytest.mark.parametrize("text", [LONG, "x" * 500, "ein Mensch läuft", "人が歩く", ""])
def test_no_line_is_wider_than_asked(text):
    lines = wrap(text, 16, 220)
    assert len(lines) <= 3
    assert all(font_for(line, 16).getlength(line) <= 220 for line in lines)


def test_what_does_not_fit_ends_in_an_ellipsis_and_what_fits_does_not():
    assert wrap(LONG, 16, 220)[-1].endswith("…")
    assert wrap("a person walks", 16, 220) == ["a person walks"]


def test_words_are_kept_whole_and_in_order():
    assert " ".join(wrap("one two three four five", 16, 90, most=9)) == "one two three four five"
