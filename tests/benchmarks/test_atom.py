"""The arithmetic of the table of AToM."""

import math

import pytest

from tests.benchmarks.atom import KINDS, Scored, fresh_prompts, interval, other_text, pooled, rows_of


def scored(value: float) -> Scored:
    scores = {kind: [[value, value], [value + 0.1, value + 0.1]] for kind in KINDS}
    return Scored(scores, scores, scores, {**scores, "integrity": []}, 50.0 * value, {"label_r1": value})


def test_differences_are_paired_by_prompt() -> None:
    found = rows_of(scored(0.5), scored(0.7))
    assert found["rules/mean"]["change"] == pytest.approx(0.2) and found["rules/mean"][
        "half"
    ] == pytest.approx(0, abs=1e-9)
    assert found["items/label_r1"] == {"before": 0.5, "after": 0.7}


def test_an_interval_is_two_standard_errors() -> None:
    mean, half = interval([0.0, 1.0])
    assert (mean, half) == pytest.approx((0.5, 1.96 * math.sqrt(0.5) / math.sqrt(2)))


def test_training_seeds_are_pooled_with_their_spread() -> None:
    runs = [rows_of(scored(0.5), scored(value)) for value in (0.6, 0.7, 0.8)]
    row = pooled(runs)["rules/mean"]
    assert row["change"] == pytest.approx(0.2) and row["half"] == pytest.approx(4.303 * 0.1 / math.sqrt(3))


def test_test_prompts_share_no_text_with_what_was_tuned_on() -> None:
    some = fresh_prompts(5, set())
    again = fresh_prompts(5, {prompt.text for prompt in some[:3]})
    assert len(again) == 15 and not {p.text for p in some[:3]} & {p.text for p in again}


def test_the_other_prompt_says_the_same_in_the_other_order_or_number() -> None:
    for prompt in fresh_prompts(8, set()):
        other = other_text(prompt)
        if prompt.kind == "integrity":
            assert other is None
        else:
            assert other is not None and other != prompt.text
            words, changed = set(prompt.text.replace(",", "").split()), set(other.replace(",", "").split())
            assert prompt.kind == "frequency" or words == changed
