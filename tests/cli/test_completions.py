"""The files in completions/ are what the program generates today, and real shells complete with them."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motionrft_cli.commands import COMMANDS
from motionrft_cli.completions import completion_script, describe
from motionrft_cli.shells.words import SHELLS
from tests.cli.conftest import clean_environment

FOLDER = Path(__file__).parents[2] / "completions"
WHOLE = {
    "motionrft finet": "motionrft finetune",
    "motionrft score --prec": "motionrft score --precision",
    "motionrft score --precision b": "motionrft score --precision bf16",
    "motionrft eval ret": "motionrft eval retrieval",
    "motionrft convert x --to kine": "motionrft convert x --to kinematic",
    "motionrft finetune --diagnose sim": "motionrft finetune --diagnose similarity",
    "motionrft score --terms semantic,pref": "motionrft score --terms semantic,preference",
    "motionrft finetune --method easytune,ref": "motionrft finetune --method easytune,refl",
    "motionrft finetune --log tensorboard,wa": "motionrft finetune --log tensorboard,wandb",
    "motionrft sample --format npy,bv": "motionrft sample --format npy,bvh",
    "motionrft sample --device m": "motionrft sample --device mps",
    "motionrft eval generation --evaluator builtin-w": "motionrft eval generation --evaluator builtin-world",
    "motionrft finetune --set optimiser.wa": "motionrft finetune --set optimiser.warmup=",
    "motionrft finetune --explain optimiser.cl": "motionrft finetune --explain optimiser.clip",
    "motionrft finetune --preset mini-easytune-ch": "motionrft finetune --preset mini-easytune-chain",
}
"""What is typed before TAB -> what the line is after it."""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_file_is_up_to_date(shell: str) -> None:
    written = (FOLDER / f"motionrft.{shell}").read_text(encoding="utf-8")
    assert written == completion_script(shell), "run: make completions"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_knows_the_options_of_all(command: str) -> None:
    names = {name for flag in describe(command).flags for name in flag.names}
    assert {"--preset", "--set", "--device", "--json", "--resume", "--help", "--explain"} <= names


def test_words_that_are_completed_are_those_that_are_taken() -> None:
    from motionrft.physics import CHECKS, COSTS
    from motionrft.reward.naming import MEASURED

    assert (*COSTS, *CHECKS) == MEASURED


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One in which `motionrft` is a program, and no shell has a configuration of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "bin").mkdir()
    program = home / "bin" / "motionrft"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m motionrft_cli.main "$@"\n')
    program.chmod(0o755)
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    return clean_environment(HOME=str(home), ZDOTDIR=str(home), PATH=path, TERM="xterm", COLUMNS="200")


START = r"\n(?:\x1b\[[^a-zA-Z]*[a-zA-Z]|\r)*"
"""Of a line of output, behind what a shell tells its terminal."""


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.end, inside = pty.openpty()
        self.shell = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=environment, start_new_session=True
        )
        os.close(inside)

    def after(self, typed: str, sign: str, seconds: float = 30.0) -> str:
        """What the terminal shows from the typing on, until the sign stands at the beginning of a line."""
        os.write(self.end, typed.encode())
        shown, until = "", time.monotonic() + seconds
        while not re.search(START + sign, shown) and time.monotonic() < until:
            if select.select([self.end], [], [], 0.2)[0]:
                shown += os.read(self.end, 65536).decode(errors="replace")
        return shown

    def completed(self, typed: str) -> str:
        """The line after a TAB: it is turned into an argument of echo, so that the shell itself says what it holds."""
        shown = self.after(f"{typed}\t\x01echo 'LINE\x05'\r", "LINE.*\n")
        return re.findall(START + "LINE(.*)", shown)[-1].strip()

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self.end)


STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"source {FOLDER / 'motionrft.bash'}\r"),
    "zsh": (["zsh", "-f", "-i"], "fpath=($HOME/functions $fpath); autoload -U compinit; compinit -u\r"),
}


@pytest.mark.executable
@pytest.mark.parametrize("shell", STARTS)
def test_a_press_of_tab_completes_in_a_real_shell(shell: str, environment: dict[str, str]) -> None:
    """The first TAB of all as well: what zsh finds in its folder of functions is loaded by it."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    functions = Path(environment["HOME"], "functions")
    functions.mkdir(exist_ok=True)
    shutil.copy(FOLDER / "motionrft.zsh", functions / "_motionrft")
    words, setup = STARTS[shell]
    terminal = Terminal(words, environment)
    try:
        terminal.after(f"PS1='> '; {setup}echo READY\r", "READY")
        assert {typed: terminal.completed(typed) for typed in WHOLE} == WHOLE
    finally:
        terminal.close()


@pytest.mark.executable
def test_fish_completes_and_describes_each_value_by_its_own_line(environment: dict[str, str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    lines = [*WHOLE, "motionrft finetune --method dr", "motionrft finetune --set watch.e"]
    asked = "; ".join(f"echo '== {line}'; complete -C '{line}'" for line in lines)
    script = f"source {FOLDER / 'motionrft.fish'}; {asked}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.stderr == ""
    found = {}
    for part in done.stdout.split("== ")[1:]:
        line, *words = part.strip().split("\n")
        found[line] = dict(word.split("\t") if "\t" in word else (word, "") for word in words)
    for typed, line in WHOLE.items():
        assert line.split()[-1] in found[typed], typed
    assert found["motionrft finetune --method dr"] == {
        "draft": "DRaFT-K, DRaFT-LV: the last steps",
        "drtune": "DRTune: some steps, inputs detached",
    }
    assert "updates" in found["motionrft finetune --set watch.e"]["watch.every="]
    assert "seconds" not in found["motionrft finet"]["finetune"]
