"""A reward as an evaluator: it hears and sees at the rate that it was trained at."""

from pathlib import Path

import pytest

from motionrft.evaluation.evaluators import loading
from tests.finetuning.small import small_reward


@pytest.mark.parametrize(("about", "fps"), [({"fps": 30.0}, 30.0), ({}, 20.0)])
def test_a_reward_keeps_its_rate_as_an_evaluator(
    monkeypatch: pytest.MonkeyPatch, about: dict[str, float], fps: float
) -> None:
    reward = small_reward()
    reward.about = about
    monkeypatch.setattr(loading, "load_reward", lambda *_: reward)
    monkeypatch.setattr(loading, "reward_identity", lambda folder: "toy")
    assert loading.load_towers(Path("reward")).fps == fps
