"""Screens of finetune, score, eval and sample at 40, 80 and 120 columns: no number is broken, no line too long."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.finetuning.report import shown
from motionrft.generators.folder import save_generator
from motionrft.intervals import Interval
from motionrft.report.verdict import Row
from motionrft_cli.console import Console
from tests.cli.conftest import Result, clean_environment
from tests.generators.families import WordEncoder, tiny
from tests.representations.people import people

Run = Callable[..., Result]
WIDTHS = (40, 80, 120)
NUMBER = re.compile(r"[-+±]?\d+(?:[.,]\d+)*(?:e-?\d+)?")


def numbers(screen: str) -> Counter[str]:
    """Every number on a screen, how often; those in names of files aside."""
    return Counter(NUMBER.findall(re.sub(r"\S*\.npy", "", screen)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "clips"
    place.mkdir()
    for name, seed in (("walk", 1), ("turn", 2)):
        np.save(place / f"{name}.npy", people(40, seed)[0].float().numpy())
    return place


def screens(run: Run, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[int, str]:
    """What people see at each width, and at one where all fits."""
    seen = {}
    for width in (*WIDTHS, 300):
        monkeypatch.setenv("COLUMNS", str(width))
        result = run(*words)
        assert result.code == 0, result.err
        seen[width] = result.err
    return seen


def check_tables(seen: dict[int, str]) -> None:
    """Numbers are those of the widest screen; names of rows, and so their units, may come more often."""
    for width in WIDTHS:
        missing = numbers(seen[300]) - numbers(seen[width])
        assert not missing, (width, missing, seen[width])
        tables = [line for line in seen[width].splitlines() if line.startswith("  ") or "─" in line]
        assert tables and max(map(len, tables)) <= width


def test_score(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = screens(run, monkeypatch, "score", str(folder), "--terms", "physics")
    check_tables(seen)
    assert all("jitter ↓" in seen[width] and "(m/s³)" in seen[width] for width in WIDTHS)


def test_eval(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_tables(screens(run, monkeypatch, "eval", "physics", "--motions", str(folder)))


def test_sample(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: WordEncoder())
    save_generator(tiny("built-in"), tmp_path / "model")
    words = ("sample", "a person walks", "--seconds", "1", "--dry-run", "--out", str(tmp_path / "o"))
    monkeypatch.setenv("COLUMNS", "40")
    result = run(*words, "--generator", str(tmp_path / "model"))
    table = [line for line in result.err.splitlines() if line.startswith("  ")]
    assert result.code == 0 and table and max(map(len, table)) <= 40


def test_finetune(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    spread = Interval(0.8989123, 0.8871, 0.9107)
    row = Row("R@1, same kind counts", (spread, spread), (Interval(0.018, 0.001, 0.035),))
    rows = shown([row] * 9)
    seen = {}
    for width in (*WIDTHS, 300):
        monkeypatch.setenv("COLUMNS", str(width))
        Console().table("held-out prompts, guidance 1", ["metric", "before", "after", "change"], rows)
        seen[width] = capsys.readouterr().err
    check_tables(seen)
    assert all(seen[40].count(cell) == seen[300].count(cell) for cell in rows[0][1:])


@pytest.mark.executable
def test_a_real_terminal_of_40_columns(folder: Path) -> None:
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 40, 0, 0))
    environment = {key: value for key, value in clean_environment(TERM="xterm").items() if key != "COLUMNS"}
    words = [
        sys.executable,
        "-m",
        "motionrft_cli.main",
        "score",
        str(folder / "walk.npy"),
        "--terms",
        "physics",
        "--source-fps",
        "20",
    ]
    process = subprocess.Popen(words, stdin=inside, stdout=inside, stderr=inside, env=environment)
    os.close(inside)
    screen = b""
    try:
        while chunk := os.read(outside, 65536):
            screen += chunk
    except OSError:  # Linux: the other end is closed
        pass
    assert process.wait(timeout=300) == 0
    text = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", screen.decode())
    lines = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    assert max(map(len, lines)) <= 40 and re.search(r"\n *frames +40 *\n", text.replace("\r\n", "\n"))
