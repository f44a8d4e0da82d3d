"""Kimodo's cleaning of prompts against its published code."""

import json

import pytest

from motionrft.text.prompt_cleaning import clean_prompt
from tests.parity.golden import Case, cases


@pytest.mark.parametrize("case", cases("kimodo", op="kimodo_prompt"))
def test_prompts_are_cleaned_as_published(case: Case) -> None:
    texts, cleaned = (json.loads(bytes(case[f"{side}/texts_utf8"].tolist())) for side in ("in", "out"))
    assert [clean_prompt(text) for text in texts] == cleaned
    assert [clean_prompt(text) for text in cleaned] == cleaned
