"""Helps at every width, and --explain: what an option is, its unit, its range and its default."""

import json
import re
from collections.abc import Callable

import pytest

from motionrft.errors import UserError
from motionrft.settings.fields import every_field
from motionrft_cli.commands import COMMANDS, load_function, preset_model
from motionrft_cli.explain import explain
from motionrft_cli.help import command_help
from tests.cli.conftest import Result

Run = Callable[..., Result]
UNITS = {"N", "X", "FPS", "FRAMES", "SECONDS"}


def help_of(command: str, width: int) -> str:
    function = load_function(command)
    return command_help(command, function.__doc__, function.options, function.examples, width)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_fits_its_terminal_and_breaks_no_name(command: str, width: int) -> None:
    lines = help_of(command, width).splitlines()
    assert max(map(len, lines)) <= width and not any("<" in line for line in lines)
    for option in load_function(command).options:
        shown = [option.value] if not option.flags else [*option.flags, option.value]
        assert all(any(word in line for line in lines) for word in shown), option


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_its_meaning_its_value_and_its_default(command: str) -> None:
    for option in load_function(command).options:
        assert option.help and (not option.flags or option.default), option
        assert re.fullmatch(r"|[A-Z][A-Za-z|=,./_]*(\.\.\.)?|[a-z0-9:N|-]+", option.value), option
    numbers = [o for o in load_function(command).options if o.default.replace(".", "").isdigit()]
    assert {option.value for option in numbers} <= UNITS


@pytest.mark.parametrize("command", COMMANDS)
def test_two_or_three_examples_fit_into_80_columns(command: str) -> None:
    examples = load_function(command).examples
    assert 2 <= len(examples) <= 3 and max(map(len, examples)) <= 78
    assert all(f"  {example}\n" in help_of(command, 80) for example in examples)


def test_a_default_is_the_presets_own() -> None:
    options = {option.name: option for option in load_function("finetune").options}
    assert (options["steps"].default, options["lora"].default, options["method"].default) == (
        "50",
        "off",
        "easytune",
    )
    assert "[default: 50]" in help_of("finetune", 80)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_and_every_option_is_explained(command: str) -> None:
    model, options = preset_model(command), load_function(command).options
    for path, _ in every_field(model):
        found = explain(path, model, options)
        assert {each.key for each in found} == {path} and all(each.what for each in found)
    for option in options:
        assert not option.flags or explain(option.flags[0], model, options)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("updates", ["updates\n", "default: 1000", "legal:   ≥ 1", "flag:    --updates"]),
        ("--lr", ["optimiser.lr", "default: 1e-05", "legal:   > 0", "MOTIONRFT_SET_optimiser__lr"]),
        ("warmup", ["optimiser.warmup"]),
        ("method.k", ["method.k (of easytune)", "method.k (of drtune)"]),
        ("resume", ["--resume", "continue the run in --out", "default: off"]),
        ("weights.jitter", ["weights\n", "0 leaves one out", "names: values"]),
        ("optimiser", ["parts:   optimiser.lr, "]),
    ],
)
def test_explain_says_what_it_does_and_what_it_takes(run: Run, key: str, said: list[str]) -> None:
    result = run("finetune", "--explain", key)
    assert result.code == 0 and result.err == "" and all(words in result.out for words in said)


def test_explain_offers_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"--explain watch.evry: .* Did you mean watch\.every"):
        explain("watch.evry", preset_model("finetune"), load_function("finetune").options)


def test_explain_in_json_is_one_document(run: Run) -> None:
    document = json.loads(run("sample", "--explain", "guidance", "--json").out)
    assert document["key"] == "guidance" and document["meanings"][0]["default"] == "null"


def test_the_list_of_commands_fits_as_well(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = run("--help").out
    assert max(map(len, out.splitlines())) <= 40 and all(f"\n  {name}\n" in out for name in COMMANDS)
