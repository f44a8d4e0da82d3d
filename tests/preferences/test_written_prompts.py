"""Prompts in a language model's words, from a real server that misbehaves."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.preferences import written_prompts
from motionrft.preferences.chat import Chat, Limits
from motionrft.preferences.journal import Journal
from motionrft.preferences.preset import PreferPreset
from motionrft.preferences.prompts import EventPrompt, read_event_prompts, template_prompts
from motionrft.preferences.run import Preferring
from motionrft.reward.events import USUAL
from tests.preferences.serving import Server
from tests.preferences.test_endpoint import server

__all__ = ["server"]
DRAWN = template_prompts({"integrity": 2, "temporal": 2, "frequency": 2}, USUAL, 0.5, 0)
QUICK = Limits(parallel=1, timeout=5.0, wait=0.01)


def written(folder: Path, drawn: list[EventPrompt] = DRAWN, limits: Limits = QUICK) -> list[EventPrompt]:
    return written_prompts.write_prompts(Chat("m", limits), drawn, Journal(folder / "written.jsonl"), 2)


def test_the_model_words_what_was_drawn(server: Server, tmp_path: Path) -> None:
    made = written(tmp_path)
    assert len(server.asked) == 3  # one a kind
    for prompt, drawn in zip(made, DRAWN, strict=True):
        assert prompt.text.startswith("someone moves") and replace(prompt, text=drawn.text) == drawn
        assert all(written_prompts.wanted(drawn) in prompt.text for _ in drawn.events)


def test_what_is_written_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    assert written(tmp_path) == written(tmp_path) and len(server.asked) == 3


@pytest.mark.parametrize("answer", ["no JSON", "refused", {"captions": ["one alone"]}, {"captions": [3, ""]}])
def test_what_cannot_be_used_is_asked_for_again(server: Server, tmp_path: Path, answer: object) -> None:
    server.answers = [answer]
    assert len(written(tmp_path)) == 6 and len(server.asked) == 4
    assert len({each["body"]["messages"][1]["content"] for each in server.asked}) == 3


def test_a_text_that_is_there_is_named_and_written_otherwise(server: Server, tmp_path: Path) -> None:
    twice = [replace(DRAWN[4], id="frequency-a"), replace(DRAWN[4], id="frequency-b")]
    server.answers = [{"captions": ["a person bows twice", "a person  bows\ntwice"]}]
    made = written(tmp_path, twice)
    assert made[0].text == "a person bows twice" and made[1].text.startswith("someone moves")
    assert "again:\n- a person bows twice" in server.asked[1]["body"]["messages"][1]["content"]


def test_a_prompt_that_is_never_written_is_left_out(server: Server, tmp_path: Path) -> None:
    server.answers = [{"captions": ["a person bows", "word " * 60]}] + ["no JSON"] * 3
    assert [p.text for p in written(tmp_path, DRAWN[4:])] == ["a person bows"] and len(server.asked) == 4


def test_a_model_that_writes_nothing_ends_the_run(server: Server, tmp_path: Path) -> None:
    server.answers = ["no JSON"] * 4
    with pytest.raises(UserError, match=r"m wrote nothing that can be used for frequency prompts"):
        written(tmp_path, DRAWN[4:])


def test_limits_hold_over_starts_and_over_prompts_and_judgements(server: Server, tmp_path: Path) -> None:
    given = {"kinds": {"frequency": 4}, "writer": {"name": "endpoint", "at_once": 2}}
    preset = PreferPreset.of({**given, "judge": {"name": "endpoint", "max_calls": 1, "parallel": 1}})
    run = Preferring(preset, tmp_path, torch.device("cpu"))
    for _ in range(2):
        with pytest.raises(UserError, match=r"1 calls are made, judge.max_calls is 1"):
            run.run(["prompts"])
    assert len(server.asked) == 1 and not (tmp_path / "prompts.jsonl").exists()
    more = preset.model_copy(update={"judge": preset.judge.model_copy(update={"max_calls": 2})})
    assert Preferring(more, tmp_path, torch.device("cpu")).run(["prompts"])["prompts"] == 4
    assert len(read_event_prompts(tmp_path / "prompts.jsonl")) == 4


def test_the_estimate_counts_both() -> None:
    judge = {"name": "endpoint", "price_in": 1.0, "price_out": 2.0, "data": None}
    given = {"kinds": {"frequency": 21}, "writer": {"name": "endpoint"}, "candidates": 2, "judge": judge}
    told = Preferring(PreferPreset.of(given), Path(), torch.device("cpu")).estimate()
    assert (told["prompt_calls"], told["judge_calls"], told["calls"]) == (3, 42, 45)
    assert told["price"] == pytest.approx((told["tokens_in"] + 2 * told["tokens_out"]) / 1e6)


def test_a_writer_beside_a_list_and_a_price_limit_without_prices_are_refused() -> None:
    with pytest.raises(UserError, match="nothing to write"):
        PreferPreset.of({"prompts": "mine.jsonl", "writer": {"name": "endpoint"}})
    with pytest.raises(UserError, match=r"judge\.price_in"):
        PreferPreset.of({"judge": {"max_cost": 1.0}})
