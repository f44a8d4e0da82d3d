"""No option does nothing: each has a row that says how its effect, or its refusal, is proven. A new one without fails."""

import ast
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from motionrft.errors import UserError
from motionrft.settings.fields import choices_of, field_at
from motionrft.settings.layers import resolve
from motionrft.settings.wording import default_of
from motionrft_cli.commands import COMMANDS, load_function, preset_model
from motionrft_cli.described import Described
from tests.cli.conftest import Result
from tests.fuzz import seeds

Run = Callable[..., Result]
ROOT = Path(__file__).parents[2]
FIELD = "field"
"""It sets a field of the preset (shown below for each), and somebody reads that field (shown below as well)."""
PROVEN: dict[str, str] = {
    "--preset": "cli/test_main.py::test_a_wrong_command_line_is_one_line_and_2",
    "--set": "cli/test_main.py::test_flags_reach_the_preset_and_the_code_is_returned",
    "--show-preset": "cli/test_main.py::test_show_preset_needs_no_argument_and_can_be_given_back",
    "--explain": "cli/test_help.py::test_explain_says_what_it_does_and_what_it_takes",
    "--list-presets": "cli/test_main.py::test_list_presets_prints_names_and_purposes",
    "--dry-run": "cli/test_examples.py::test_no_command_overlooks_a_dry_run",
    "--out": "cli/test_faults.py::test_a_file_is_no_folder",
    "--resume": "cli/test_main.py::test_resume_takes_the_preset_of_the_run",
    "--overwrite": "cli/test_faults.py::test_a_folder_in_use_is_not_clobbered",
    "--json": "cli/test_main.py::test_json_is_pure_and_knows_no_nan",
    "--quiet": "cli/test_console.py::test_quiet_leaves_warnings_only",
    "--verbose": "cli/test_main.py::test_verbose_says_which_settings_differ_from_the_defaults",
    "--debug": "cli/test_main.py::test_debug_shows_the_traceback",
    "--log": "cli/test_following.py::test_a_tracker_that_is_not_there_is_one_line_before_any_work",
    "--allow-changed": "cli/test_faults.py::test_a_field_that_a_run_once_had_may_have_changed",
    "--null": "cli/test_convert.py::test_a_list_on_standard_input_with_odd_names",
    "--shard": "cli/test_shares.py::test_jobs_of_an_array_score_what_one_does",
    "convert --overwrite": "cli/test_convert.py::test_nothing_is_overwritten_unasked",
    "convert --resume": "cli/test_convert.py::test_nothing_is_overwritten_unasked",
    "convert --dataset": "cli/test_convert.py::test_a_data_set_in_one_command_then_checked",
    "convert --check": "cli/test_convert.py::test_a_data_set_in_one_command_then_checked",
    "convert --show-joint-map": "cli/test_reading_options.py::test_a_joint_map_is_printed_edited_and_used",
    "convert --meanwhile": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
    "convert --join": "cli/test_options_act.py::test_joining_makes_one_motion_of_two",
    "prefer --stage": "cli/test_prefer.py::test_a_stage_that_lacks_the_one_before_says_so",
    "prefer --resume": "cli/test_prefer.py::test_prefer_goes_on_where_it_was_and_asks_nothing_twice",
    "finetune --compare": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
    "finetune --diagnose": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
    "finetune --show-plan": "cli/test_main.py::test_verbose_says_which_settings_differ_from_the_defaults",
    "sample --resume": "cli/test_sample.py::test_resume_makes_only_what_is_missing",
    "sample --text-file": "cli/test_sample.py::test_prompts_from_a_file",
    "sample --data": "cli/test_faults.py::test_a_data_set_that_is_not_there",
    "score --out": "cli/test_score.py::test_out_holds_what_json_prints_and_is_not_clobbered",
    "score --overwrite": "cli/test_score.py::test_what_means_nothing_to_score_is_refused",
    "score --resume": "cli/test_score.py::test_what_means_nothing_to_score_is_refused",
    "score --text": "reward/test_scoring.py::test_one_text_for_all_and_one_a_motion",
    "score --text-file": "reward/test_scoring.py::test_one_text_for_all_and_one_a_motion",
    "score --fail-under": "reward/test_scoring.py::test_limits_turn_it_into_a_linter",
    "score --fail-over": "reward/test_scoring.py::test_limits_turn_it_into_a_linter",
    "eval --against": "evaluation/test_command.py::test_generation_writes_numbers_tables_page_and_study",
    "eval --study": "evaluation/test_command.py::test_generation_writes_numbers_tables_page_and_study",
    "eval --compare": "evaluation/test_command.py::test_a_mistake_is_one_line_and_exit_code_2",
    "eval --latex": "evaluation/test_command.py::test_a_mistake_is_one_line_and_exit_code_2",
    "eval --ratings": "cli/test_options_act.py::test_ratings_are_read_with_their_key",
    "eval --markdown": "cli/test_options_act.py::test_ratings_are_read_with_their_key",
    "check --out": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
    "check --resume": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
    "check --overwrite": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
    "check --dry-run": "cli/test_options_act.py::test_what_stands_alone_or_is_no_word_is_refused",
}
"""`--flag` of every command, or `command --flag` where one differs, to the test that shows what it does."""
VALUES: dict[str, Any] = {
    "device": "cuda:3",
    "method": "draft",
    "hold_out": "content=kick",
    "joint_map": "map.yaml",
    "time_limit": "9m",
    "cut": "cut.csv",
    "formats": "bvh",
    "source": "joints",
    "split_column": "split_strict",
    "to": "bvh",
    "terms": "jitter",
    "pairs": ("pairs.jsonl", {"method": ("--method", "dpo")}),
    "statistics": "stats",
}
"""Parameter -> a value other than its default, where its type does not give one; with what has to be said beside it."""
OPTIONS = [
    (command, option) for command in COMMANDS for option in load_function(command).options if option.flags
]


def row(command: str, option: Described) -> str | None:
    if option.path is not None:
        return FIELD
    flag = option.flags[0]
    return PROVEN.get(f"{command} {flag}", PROVEN.get(flag))


def test_every_option_of_every_command_has_a_row() -> None:
    assert [f"{name} {option.flags[0]}" for name, option in OPTIONS if row(name, option) is None] == []


def test_every_row_is_needed_and_names_a_test_that_is_there() -> None:
    asked = {option.flags[0] for _, option in OPTIONS} | {f"{name} {o.flags[0]}" for name, o in OPTIONS}
    assert [key for key in PROVEN if key not in asked] == []
    for key, place in PROVEN.items():
        file, _, name = place.partition("::")
        text = (ROOT / "tests" / file).read_text()
        assert f"def {name}(" in text, place
        flag = key.split()[-1]
        assert flag in text or name == "test_no_command_overlooks_a_dry_run" or flag == "--quiet", key


def candidates(option: Described, field: Any, default: Any) -> list[Any]:
    """Values of which one is legal."""
    if option.name in VALUES:
        return [VALUES[option.name], 12]
    words = [word for word in (choices_of(field) or option.choices) if word == word.lower()]
    return [*reversed(words), not default, 12, 0.5, "else"]


def changed(command: str, option: Described, usual: Any) -> bool:
    """Whether some value of the option changes its field."""
    path, model = str(option.path), preset_model(command)
    default = default_of(usual, path)
    for value in candidates(option, field_at(model, path), default):
        value, beside = value if isinstance(value, tuple) else (value, {})
        with suppress(UserError):
            flags = {**beside, path: (option.flags[0], value)}
            if default_of(resolve(model, flags=flags, environment={}), path) != default:
                return True
    return False


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_of_a_field_changes_what_the_command_is_run_with(command: str) -> None:
    usual = resolve(preset_model(command), environment={})
    options = [option for name, option in OPTIONS if name == command and option.path is not None]
    assert [option.flags[0] for option in options if not changed(command, option, usual)] == []


@cache
def read_names() -> frozenset[str]:
    """Every attribute that some line of ours reads."""
    files = [*(ROOT / "motionrft").rglob("*.py"), *(ROOT / "motionrft_cli").glob("*.py")]
    trees = (ast.walk(ast.parse(file.read_text())) for file in files)
    return frozenset(node.attr for tree in trees for node in tree if isinstance(node, ast.Attribute))


def test_a_field_with_an_option_is_read_by_somebody() -> None:
    fields = {str(option.path) for _, option in OPTIONS if option.path is not None}
    assert [path for path in fields if path.rpartition(".")[2] not in read_names()] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["convert", "x", "--to", "bvh", "--precision", "bf16"],
            "--precision bf16: convert computes in fp32",
        ),
        (["convert", "x", "--to", "bvh", "--device", "cuda"], "--device cuda: convert runs on the processor"),
        (["score", "x", "--set", "precision=fp16"], "--precision fp16: score computes in fp32"),
        (["prefer", "--precision", "bf16"], "--precision bf16: prefer computes in fp32"),
        (["check", "--seed", "3"], "--seed 3: check draws nothing"),
        *((["check", flag], "check writes nothing") for flag in ("--resume", "--overwrite", "--dry-run")),
        (["check", "--out", "x"], "check writes nothing"),
        (["finetune", "--compare", "--out", "x"], "--compare needs several methods"),
        (["convert", "x", "--meanwhile", "--to", "joints", "--out", "o"], "add --join"),
        (["finetune", "--diagnose", "memry", "--out", "x"], "--diagnose memry: no such chart"),
    ],
)
def test_what_stands_alone_or_is_no_word_is_refused(run: Run, words: list[str], said: str) -> None:
    result = run(*words)
    assert (result.code, result.out) == (2, "") and said in result.err


def test_what_is_true_of_a_command_is_taken(run: Run, tmp_path: Path) -> None:
    """A script gives the same words to every command."""
    seeds.npy(tmp_path)
    words = ("--to", "bvh", "--device", "cpu", "--precision", "fp32", "--seed", "1", "--dry-run")
    assert run("convert", str(tmp_path / "features.npy"), *words, "--out", str(tmp_path / "o")).code == 0


def test_joining_makes_one_motion_of_two(run: Run, tmp_path: Path) -> None:
    seeds.npy(tmp_path)
    file = str(tmp_path / "features.npy")
    assert run("convert", file, file, "--join", "--to", "joints", "--out", str(tmp_path / "o")).code == 0
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["joined.npy"]


def test_ratings_are_read_with_their_key(run: Run, tmp_path: Path) -> None:
    seeds.ratings(tmp_path)
    files = str(tmp_path / "rating.json"), "--ratings", str(tmp_path / "key.json")
    result = run("eval", "generation", *files)
    assert result.code == 0 and "1 rater, 1 pair " in result.out
    assert run("eval", "generation", *files, "--markdown", "--json").code == 2
