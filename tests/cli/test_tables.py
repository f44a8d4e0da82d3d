"""Tables in narrow terminals: every number stays in one piece."""

import io

import pytest
from rich.console import Console as RichConsole

from motionrft.plurals import counted
from motionrft_cli.console import Console
from motionrft_cli.tables import cell, fitted

TERMS = [f"term_{place} ↑ (m/s³)" for place in range(9)]
SCORES = [f"0.{place}234567 (9{place} %)" for place in range(9)]
CHANGES = [[f"metric {place} ↓", "0.899 ±0.012", "0.918 ±0.011", "+0.018 ±0.017"] for place in range(12)]


def drawn(width: int, columns: list[str], rows: list[list[object]]) -> list[str]:
    """The lines of the table in a terminal of that width."""
    console, screen = Console(), io.StringIO()
    console.rich = RichConsole(file=screen, width=width, _environ={})
    console.table("title", columns, rows)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120, 300])
@pytest.mark.parametrize("files", [1, 2, 9])
def test_every_score_is_whole_and_every_line_fits(width: int, files: int) -> None:
    rows = [[f"out/{place}-a-person-waves-the-right-hand.npy", 80, *SCORES] for place in range(files)]
    lines = drawn(width, ["file", "frames", *TERMS], rows)
    assert max(map(len, lines)) <= width
    assert all("\n".join(lines).count(score) == files for score in SCORES)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_of_changes_keeps_its_numbers(width: int) -> None:
    lines = drawn(width, ["metric", "before", "after", "change"], CHANGES)
    assert max(map(len, lines)) <= width
    assert all("\n".join(lines).count(number) == 12 for number in CHANGES[0][1:])


@pytest.mark.parametrize("width", [40, 80])
def test_words_at_the_heads_stay_whole_beside_long_names(width: int) -> None:
    lines = drawn(width, ["file", "family", "representation"], [["out/" + 75 * "x", "mld", "no"]])
    assert max(map(len, lines)) <= width
    assert all("\n".join(lines).count(word) == 1 for word in ("family", "representation"))


def test_terms_become_rows_for_a_few_files() -> None:
    (part,) = fitted(["file", "frames", *TERMS], [["a.npy", 80, *SCORES], ["b.npy", 90, *SCORES]], 80)
    assert part.columns == ("file", "a.npy", "b.npy") and part.rows[1] == (TERMS[0], SCORES[0], SCORES[0])


def test_a_table_that_fits_stays_as_it_is() -> None:
    (part,) = fitted(["file", "score"], [["a.npy", 0.123456], ["b.npy", None]], 80)
    assert part.rows == (("a.npy", "0.1235"), ("b.npy", "-")) and part.numeric == (False, True)


def test_a_table_without_rows_is_its_heads() -> None:
    assert fitted(["file", "score"], [], 10)[0].rows == ()


def test_values_are_four_digits() -> None:
    assert [cell(value) for value in (0.123456, 12345.6, 3, "x", None)] == [
        "0.1235",
        "1.235e+04",
        "3",
        "x",
        "-",
    ]


def test_one_is_no_plural() -> None:
    assert [counted(1, "motion"), counted(2, "motion"), counted(0, "was", "were")] == [
        "1 motion",
        "2 motions",
        "0 were",
    ]
