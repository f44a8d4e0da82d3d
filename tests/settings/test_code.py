"""Only the command line may name code: every other source is refused, at any depth."""

from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.finetuning.preset import FinetunePreset
from motionrft.reward.score_preset import ScorePreset
from motionrft.settings.code import is_place
from motionrft.settings.layers import resolve

CODE = "my_rewards:low_hands"


@pytest.mark.parametrize("text", [CODE, "a.b:c", "os:system"])
def test_places_are_recognised(text: str) -> None:
    assert is_place(text)


@pytest.mark.parametrize("text", ["builtin", "runs/a:b", "C:\\rewards", "a:", ":b", "a:b:c", 7, None, "1a:b"])
def test_other_words_are_no_places(text: object) -> None:
    assert not is_place(text)


@pytest.mark.parametrize(
    "yaml",
    [f"reward: {CODE}", f"weights: {{'{CODE}': 1}}", f"compare: {{easytune: {{reward: '{CODE}'}}}}"],
)
def test_a_preset_file_that_names_code_is_refused_and_says_the_flag(yaml: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(yaml)
    with pytest.raises(UserError, match=r"p\.yaml: (reward|weights) names code.*on the command line \(--"):
        resolve(FinetunePreset, str(tmp_path / "p.yaml"), environment={})


def test_an_environment_variable_that_names_code_is_refused() -> None:
    with pytest.raises(UserError, match="MOTIONRFT_SET_reward: reward names code"):
        resolve(ScorePreset, environment={"MOTIONRFT_SET_reward": CODE})


def test_a_run_goes_on_where_the_command_line_repeats_what_its_preset_names(tmp_path: Path) -> None:
    (tmp_path / "preset.yaml").write_text(f"reward: {CODE}\nweights: {{low_hands: 1.0}}")
    flags = {"reward": ("--reward", CODE)}
    assert resolve(FinetunePreset, str(tmp_path / "preset.yaml"), flags=flags, environment={}).reward == CODE


def test_a_flag_and_a_setting_may_name_code() -> None:
    preset = resolve(FinetunePreset, settings=[f"reward={CODE}", "steps=20"], environment={})
    assert preset.weights == {"low_hands": 1.0}
    preset = resolve(FinetunePreset, settings=[f"weights.{CODE}=0.5", "weights.semantic=1"], environment={})
    assert preset.weights == {CODE: 0.5, "semantic": 1.0, "similarity": 1.0}
