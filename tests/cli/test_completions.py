"""The files in completions/ are what the program generates today."""

import subprocess
from pathlib import Path

import pytest

from motionrft_cli.commands import COMMANDS
from motionrft_cli.completions import SHELLS, completion_script, describe

FOLDER = Path(__file__).parents[2] / "completions"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_file_is_up_to_date(shell: str) -> None:
    written = (FOLDER / f"motionrft.{shell}").read_text(encoding="utf-8")
    assert written == completion_script(shell), "run: make completions"


def test_every_command_knows_the_options_of_all(name: str = "finetune") -> None:
    names = {name for flag in describe(name).flags for name in flag.names}
    assert {"--preset", "--set", "--device", "--json", "--resume", "--help"} <= names


def complete(*words: str) -> list[str]:
    """Ask a real bash what it would offer for the last word."""
    script = (
        f"source {FOLDER / 'motionrft.bash'}; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
        f"COMP_CWORD={len(words) - 1}; _motionrft; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_offers_commands_flags_and_words() -> None:
    assert complete("motionrft", "") == [*COMMANDS, "--help", "--version"]
    assert complete("motionrft", "fi") == ["finetune"]
    assert complete("motionrft", "score", "--prec") == ["--precision"]
    assert complete("motionrft", "score", "--precision", "b") == ["bf16"]
    assert "easytune" in complete("motionrft", "finetune", "--method", "easy")
