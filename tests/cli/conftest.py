"""Three ways to call the program: in this process, in a process of its own, and with a toy command."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from motionrft_cli import main as program


@dataclass(frozen=True)
class Result:
    """How a call ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the program in this process, which is quick; `run("score", "--help")`."""

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        code = program.run(arguments)
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., Result]:
    """Call the program as a user does: in a process of its own, started in an empty folder."""

    def call(*arguments: str | bytes, stdin: str = "", **environment: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "motionrft_cli.main", *arguments],
            input=stdin.encode(),
            capture_output=True,
            cwd=tmp_path,
            env=clean_environment(**environment),
            timeout=300,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment without what would change the program's answers."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MOTIONRFT_")}
    return {**kept, "PYTHONPATH": str(Path(program.__file__).parents[1]), "OMP_NUM_THREADS": "1", **changes}


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a function in the place of a command: `as_command("score", function)`."""

    def install(name: str, function: Any) -> None:
        module = ModuleType(f"motionrft_cli.{name}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    yield install
