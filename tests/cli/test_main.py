"""Failures end in one line and the stated code; what was asked for on stdout is alone there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from motionrft.errors import Interrupted, RunError, UserError
from motionrft_cli.commands import COMMANDS
from motionrft_cli.options import Call, command, sets
from tests.cli.conftest import Result, clean_environment
from tests.settings.models import ToyPreset

Run = Callable[..., Result]


def toy(body: Callable[[Call[ToyPreset]], int | None]) -> Any:
    """A command with a required argument and two flags of preset fields."""

    @command(ToyPreset, "motionrft score a.npy --lr 1e-3")
    def score(
        call: Call[ToyPreset],
        motions: Annotated[list[str], typer.Argument(help="motion files")],
        lr: Annotated[float | None, sets("optimiser.lr")] = None,
        method: Annotated[str | None, typer.Option("--way"), sets("method")] = None,
    ) -> int | None:
        """Do what the test says."""
        return body(call)

    return score


def raising(error: BaseException) -> Any:
    def body(call: Call[ToyPreset]) -> int | None:
        raise error

    return toy(body)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("walk.npy: is empty"), 2, "error: walk.npy: is empty\n"),
        (RunError("the loss is not finite"), 1, "error: the loss is not finite\n"),
        (Interrupted("saved; continue with --resume", 75), 75, "saved; continue with --resume\n"),
        (Interrupted("saved", 130), 130, "saved\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            FileNotFoundError(2, "No such file or directory", "x.npy"),
            2,
            "error: x.npy: No such file or directory\n",
        ),
        (OSError(28, "No space left on device", "run/a"), 1, "error: run/a: No space left on device\n"),
        (ZeroDivisionError("by\nzero"), 1, "error: ZeroDivisionError: by zero (--debug shows where)\n"),
    ],
)
def test_failures_are_one_line_and_a_code(
    run: Run, as_command: Callable[..., None], error: BaseException, code: int, said: str
) -> None:
    as_command("score", raising(error))
    assert run("score", "a.npy") == Result(code, "", said)


def test_debug_shows_the_traceback(run: Run, as_command: Callable[..., None]) -> None:
    as_command("score", raising(ZeroDivisionError("by zero")))
    result = run("score", "a.npy", "--debug")
    assert result.code == 1 and "Traceback" in result.err and "raise error" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scor"], "motionrft has no command 'scor'. Did you mean score?"),
        (["xyz"], "There are: check, convert"),
        (["score", "a", "--bog"], "No such option: --bog"),
        (["score", "a", "--seed", "x"], "Invalid value for '--seed'"),
        (["score", "a", "--seed"], "Option '--seed' requires an argument"),
        (["score"], "missing MOTIONS; try motionrft toy --help"),
        (["score", "a", "--lr", "-1"], "--lr = -1.0: input should be greater than 0"),
        (["score", "a", "--way", "darft"], "Did you mean draft?"),
        (["score", "a", "--preset", "nowhere.yaml"], "--preset nowhere.yaml: there is no such file"),
        (["score", "a", "--set", "stepz=3"], "--set stepz: unknown field (value 3). Did you mean steps?"),
        (["score", "a", "--device", "gpu"], "--device = 'gpu'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(
    run: Run, as_command: Callable[..., None], arguments: list[str], said: str
) -> None:
    as_command("score", toy(lambda call: 0))
    result = run(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert said in result.err and result.err.startswith("error: ")


def test_flags_reach_the_preset_and_the_code_is_returned(run: Run, as_command: Callable[..., None]) -> None:
    seen = []

    def body(call: Call[ToyPreset]) -> int:
        seen.append(call)
        return 3

    as_command("score", toy(body))
    assert (
        run("score", "a", "--lr", "0.5", "--way", "window", "--seed", "7", "--set", "method.start=2").code
        == 3
    )
    preset = seen[0].preset
    assert (preset.optimiser.lr, preset.method.method, preset.method.start, preset.seed) == (
        0.5,
        "window",
        2,
        7,
    )


def test_show_preset_needs_no_argument_and_can_be_given_back(
    run: Run, as_command: Callable[..., None], tmp_path: Path
) -> None:
    as_command("score", toy(lambda call: 0))
    shown = run("score", "--show-preset", "--lr", "0.25")
    (tmp_path / "p.yaml").write_text(shown.out)
    again = run("score", "--show-preset", "--preset", str(tmp_path / "p.yaml"))
    assert shown.code == again.code == 0 and shown.out == again.out and "lr: 0.25" in shown.out
    assert shown.err == ""


def test_resume_takes_the_preset_of_the_run(
    run: Run, as_command: Callable[..., None], tmp_path: Path
) -> None:
    as_command("score", toy(lambda call: 0))
    (tmp_path / "preset.yaml").write_text("steps: 7\n")
    assert "steps: 7" in run("score", "--show-preset", "--resume", "--out", str(tmp_path)).out
    assert "steps: 50" in run("score", "--show-preset", "--out", str(tmp_path)).out


def test_list_presets_prints_names_and_purposes(
    run: Run, as_command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_command("score", toy(lambda call: 0))
    (tmp_path / "mine.yaml").write_text("# My own.\nsteps: 3\n")
    monkeypatch.setenv("MOTIONRFT_PRESET_PATH", str(tmp_path))
    assert run("score", "--list-presets").out.split() == ["mine", "My", "own."]


def test_json_is_pure_and_knows_no_nan(run: Run, as_command: Callable[..., None]) -> None:
    def body(call: Call[ToyPreset]) -> None:
        call.console.info("for people")
        with call.console.progress("scoring", 2) as bar:
            bar.advance(reward=0.5)
        call.console.emit({"text": "走る 🏃", "reward": float("nan"), "all": [float("inf"), 1.5]})

    as_command("score", toy(body))
    result = run("score", "a", "--json")
    assert json.loads(result.out) == {"text": "走る 🏃", "reward": None, "all": [None, 1.5]}
    assert result.out.isascii() and result.out.count("\n") == 1 and "for people" in result.err
    assert run("score", "a").out == ""


def test_help_names_every_command_and_ends_with_an_example(run: Run, as_command: Callable[..., None]) -> None:
    result = run("--help")
    assert result.code == 0 and all(name in result.out for name in COMMANDS)
    as_command("score", toy(lambda call: 0))
    assert "motionrft score a.npy --lr 1e-3" in run("score", "--help").out
    assert run().out == result.out


def executable(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "motionrft_cli.main", *arguments], stderr=subprocess.PIPE, **options
    )


@pytest.mark.executable
def test_a_reader_that_leaves_early_is_no_error() -> None:
    """What `motionrft --help | head -1` does, with the pipe closed before the first word."""
    read, write = os.pipe()
    os.close(read)
    process = executable("--help", stdout=write, env=clean_environment())
    os.close(write)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.executable
@pytest.mark.parametrize(
    "environment",
    [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"COLUMNS": "40"}],
)
def test_help_is_plain_in_poor_surroundings(environment: dict[str, str]) -> None:
    process = executable("--help", stdout=subprocess.PIPE, env=clean_environment(**environment))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and b"\x1b" not in out + err and b"Traceback" not in err
    if "COLUMNS" in environment:
        assert max(len(line) for line in out.decode().splitlines()) <= 40


@pytest.mark.executable
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "--preset \udcff走.yaml: there is no such file".encode(errors="surrogateescape")),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            b"--preset \\udcff\\udce8\\udcb5\\udcb0.yaml: there is no such file",
        ),
    ],
)
def test_any_name_can_be_printed(environment: dict[str, str], said: bytes) -> None:
    name = b"\xff" + "走.yaml".encode()
    command = [sys.executable, "-m", "motionrft_cli.main", "finetune", "--preset", name]
    done = subprocess.run(command, capture_output=True, env=clean_environment(**environment), timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"error: " + said + b"\n")


def test_verbose_says_which_settings_differ_from_the_defaults(run: Callable[..., Result]) -> None:
    arguments = ("finetune", "--show-plan", "--steps", "10", "--device", "cpu")
    assert "steps: 10" in run(*arguments, "--verbose").err and "steps: 10" not in run(*arguments).err


def test_smoothing_is_refused_where_it_means_nothing(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("sample", "walk", "--set", "smooth=true", "--out", str(tmp_path / "s"), "--device", "cpu")
    assert result.code == 2 and "smooth is for generators of rotations" in result.err
