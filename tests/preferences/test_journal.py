"""What is paid for is kept, whenever a run dies."""

from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.preferences.journal import Journal


def test_records_outlast_the_process(tmp_path: Path) -> None:
    Journal(tmp_path / "j.jsonl").add("a", {"score": 0.5})
    again = Journal(tmp_path / "j.jsonl")
    assert "a" in again and again["a"]["score"] == 0.5


def test_a_line_that_a_kill_cut_short_is_dropped_and_the_rest_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.add("a", {"score": 1.0})
    with open(tmp_path / "j.jsonl", "a") as file:
        file.write('{"key": "b", "sco')
    again = Journal(tmp_path / "j.jsonl")
    assert "b" not in again
    again.add("c", {"score": 0.0})
    assert set(Journal(tmp_path / "j.jsonl").records) == {"a", "c"}


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").write_text('nonsense\n{"key": "a"}\n')
    with pytest.raises(UserError, match="damaged"):
        Journal(tmp_path / "j.jsonl")
