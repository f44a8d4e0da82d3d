"""The table of faults is whole. `python -m tests.reliability` walks it, which takes an hour of a busy processor."""

from tests.reliability import arrays, models, results, runs, surroundings, tuning, words  # noqa: F401 - they enter rows
from tests.reliability.scene import ROWS


def test_every_row_of_the_table_can_be_walked() -> None:
    assert sorted(ROWS) == list(range(1, 35))
    assert all((row.__doc__ or "").strip() for row in ROWS.values())
