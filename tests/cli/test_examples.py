"""Whatever is shown to be pasted can be pasted: the README's commands, the examples of every help, preset heads."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from motionrft.settings.discovery import find_preset, shipped_folder
from motionrft_cli.commands import COMMANDS, load_function
from motionrft_cli.completions import describe
from tests.cli.test_presets import FILES

ROOT = Path(__file__).parents[2]


def readme_commands() -> Iterator[str]:
    """Every call of motionrft in the README's code blocks, also inside pipes and loops; continued lines joined."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    blocks = "\n".join(re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, re.S)).replace("\\\n", " ")
    yield from re.findall(r"(?:^|[|;]|\bdo) *(motionrft [^|;\n]*)", blocks, re.M)


def demo_commands() -> Iterator[str]:
    """What `make demo` calls, continued lines joined."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", makefile, re.M)
    assert recipe is not None
    for line in recipe[1].splitlines():
        yield line.strip().replace("$(BIN)/", "").replace("$(RUN)", "runs/demo")


@cache
def flags(command: str) -> dict[str, bool]:
    """Flag -> whether it takes a value."""
    return {name: flag.takes_value for flag in describe(command).flags for name in flag.names}


def mistakes(line: str) -> list[str]:
    """What is wrong with a command line: an unknown command, an unknown flag, an unknown preset."""
    words = shlex.split(re.split(r"\s(?:[|>&]|2>)", line)[0], comments=True)
    if words[1].startswith("-"):
        return []
    if words[1] not in COMMANDS:
        return [f"no command {words[1]}"]
    known, wrong = flags(words[1]), []
    for position, word in enumerate(words):
        name = word.partition("=")[0]
        if re.match(r"--?[a-z]", word) and name not in known:
            wrong.append(f"no flag {name}")
        if word == "--preset" and not words[position + 1].endswith((".yaml", "NAME", "FILE")):
            find_preset(words[1], words[position + 1], {})
    return wrong


def test_what_the_demo_calls_is_known() -> None:
    tune, composed = demo_commands()
    assert tune.startswith("motionrft finetune ") and composed.startswith("motionrft sample ")
    assert mistakes(tune) == mistakes(composed) == []
    assert "--preset world-easytune" in tune
    assert "--generator runs/demo/generator" in composed and ", then " in composed


def test_there_are_commands_in_the_readme() -> None:
    assert len(list(readme_commands())) >= 2


@pytest.mark.parametrize("line", list(readme_commands()))
def test_a_command_of_the_readme_is_known(line: str) -> None:
    assert mistakes(line) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_a_help_is_known(command: str) -> None:
    for example in load_function(command).examples:
        assert example.startswith(f"motionrft {command} ") and mistakes(example) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_head_of_a_preset_is_known(file: Path) -> None:
    lines = [line.lstrip("# ") for line in file.read_text().splitlines() if line.startswith("# motionrft ")]
    assert lines and [mistakes(line) for line in lines] == [[] for _ in lines]


def test_no_command_overlooks_a_dry_run() -> None:
    """--dry-run is an option of all commands, so none may go on as if it had not been given."""
    folder = ROOT / "motionrft_cli"
    files = {command: folder / f"{command.replace('-', '_')}.py" for command in COMMANDS}
    assert [command for command, file in files.items() if "dry_run" not in file.read_text()] == []


def test_every_shipped_folder_belongs_to_a_command() -> None:
    assert {folder.name for folder in shipped_folder().iterdir() if folder.is_dir()} <= set(COMMANDS)
