"""Prompt files as their authors write them: with lengths, where every line has one."""

from pathlib import Path

import pytest

from motionrft.data.prompts import read_prompt_file, read_prompts
from motionrft.errors import UserError


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


def test_json_lines_say_lengths_and_what_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        '{"text": "he bows", "seconds": 4, "kind": "x"}\n\n{"text": "hops ", "seconds": 2.5, "held_out": true}'
    )
    found = read_prompt_file(path)
    assert (found.texts, found.seconds) == (["he bows", "hops"], [4.0, 2.5])
    assert found.held_out == [False, True] and "1 of 2 are held out" in str(found.said)


def test_json_lines_may_say_neither(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"text": "he bows"}')
    assert (read_prompt_file(path).seconds, read_prompt_file(path).held_out) == (None, None)


@pytest.mark.parametrize(
    "lines, said",
    [
        ('{"seconds": 2}', "line 1: text is"),
        ('{"text": "he bows", "seconds": 0}', "a number above 0"),
        ('{"text": "he bows", "held_out": "yes"}', "true or false"),
        ('{"text": "he bows"}\n{"text": "he hops", "seconds": 2}', "line 2: seconds of some lines"),
        ("", "no prompt there"),
    ],
)
def test_a_wrong_line_of_json_is_named(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "prompts.jsonl").write_text(lines)
    with pytest.raises(UserError, match=said):
        read_prompt_file(tmp_path / "prompts.jsonl")
