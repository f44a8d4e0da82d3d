"""Prompt files as their authors write them: with lengths, where every line has one."""

from pathlib import Path

import pytest

from motionrft.data.prompts import read_prompt_file, read_prompts


@pytest.mark.parametrize(
    "lines, texts, seconds",
    [
        (
            ["A person walks.#90#001", "He jumps, twice.#150#a-2"],
            ["A person walks.", "He jumps, twice."],
            [3.0, 5.0],
        ),
        (["100 a person walks", "64 he jumps"], ["a person walks", "he jumps"], [5.0, 3.2]),
        (["a person walks", "he jumps"], ["a person walks", "he jumps"], None),
        # One line that does not fit: nothing is cut off any of them.
        (["a person walks#90#1", "he jumps"], ["a person walks#90#1", "he jumps"], None),
        (["100 a person walks", "he jumps"], ["100 a person walks", "he jumps"], None),
        (["4 steps forward", "2 people wave"], ["4 steps forward", "2 people wave"], None),
    ],
)
def test_lengths_are_read_where_every_line_has_one(
    tmp_path: Path, lines: list[str], texts: list[str], seconds: list[float] | None
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(lines) + "\n")
    found = read_prompt_file(path)
    assert found.texts == texts == read_prompts(path)
    assert found.seconds == seconds
    assert (found.said is None) == (seconds is None)
