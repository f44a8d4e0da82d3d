"""Kimodo's cleaning of prompts."""

import pytest

from motionrft.text.prompt_cleaning import clean_prompt


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a person walks.then sits!ok?", "A person walks. Then sits! Ok?"),
        ("walks...", "Walks..."),
        ("\twalk ,\n", "Walk."),
        ("???", ""),
        ("été Über", "Été über."),
    ],
)
def test_what_golden_data_leave_open(text: str, cleaned: str) -> None:
    assert clean_prompt(text) == cleaned
    assert clean_prompt(cleaned) == cleaned, "cleaning twice changes nothing"
