"""Streams that are closed or full, and terminals of few characters, end in a code and never in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import clean_environment

pytestmark = pytest.mark.executable


def shell(words: str, place: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    line = f"{sys.executable} -m motionrft_cli.main {words}"
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        cwd=place,
        env=clean_environment(**environment),
        timeout=120,
    )


@pytest.mark.parametrize(
    ("closed", "code"),
    [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), (">/dev/full", 1), ("2>/dev/full", 0)],
)
def test_closed_and_full_streams(tmp_path: Path, closed: str, code: int) -> None:
    done = shell(f"--version {closed}", tmp_path)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


def test_names_of_any_bytes_on_a_terminal_of_few_characters(tmp_path: Path) -> None:
    for name in (b"a\x1b[2J.npy", "Läufer.npy".encode(), b"\xff\x9b.npy"):
        np.save(tmp_path / os.fsdecode(name), np.zeros(3))
    words = "score *.npy --terms physics --json"
    for environment in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C.UTF-8"},
    ):
        done = shell(words, tmp_path, **environment)
        assert done.returncode in (2, 3) and b"Traceback" not in done.stderr and done.stdout == b""
        assert (
            done.stderr.count(b"motion") >= 3 and b"\x1b[2J" not in done.stderr and b"\x9b" not in done.stderr
        )


def test_a_list_on_a_closed_standard_input_is_empty(tmp_path: Path) -> None:
    done = shell("score - --terms physics <&-", tmp_path)
    assert done.returncode in (0, 2) and done.stderr.count(b"\n") < 2 and b"Traceback" not in done.stderr
