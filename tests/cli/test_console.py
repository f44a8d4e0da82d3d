"""Words for people: where they go, and what they look like without a terminal."""

import io

import pytest
from rich.console import Console as RichConsole

from motionrft_cli import progress as module
from motionrft_cli.console import Console
from motionrft_cli.memory import memory_line, resident_bytes
from motionrft_cli.training_progress import LoopProgress


def test_quiet_leaves_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True, verbose=True)
    console.info("a")
    console.detail("b")
    console.table("t", ["x"], [[1]])
    with console.progress("p", 1) as bar:
        bar.describe("q")
        bar.advance(reward=1.0)
    console.warn("careful")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "warning: careful\n")


def test_details_are_for_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    Console().detail("a")
    Console(verbose=True).detail("b")
    assert capsys.readouterr().err == "b\n"


def test_long_lines_and_brackets_come_out_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]x[/bold] :smile: " + "word " * 60
    Console().info(text)
    assert capsys.readouterr().err == text + "\n"


def test_progress_in_a_log_file_is_plain_lines_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with Console().progress("tuning", 9, "updates") as bar:
        for update in range(9):
            bar.advance(reward=update / 10)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 6 and "\x1b" not in "".join(lines)
    assert lines[-1].startswith("tuning: 9/9 updates") and "reward 0.8" in lines[-1] and "MiB" in lines[-1]


def test_progress_says_what_it_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLAIN_SECONDS", 0.0)
    progress = LoopProgress(Console(), "evaluating")
    progress.start(2, 0, "sampling seeds")
    progress.update(1, {})
    progress.finish()
    assert "evaluating: 1/2 sampling seeds" in capsys.readouterr().err


def test_what_is_held_is_said_once_with_the_first_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console()
    console.hold("device: cpu (no GPU found)")
    console.hold("device: cpu (no GPU found)")
    with console.progress("reading", 1) as bar:
        bar.advance()
    assert capsys.readouterr().err == ""
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    for _ in range(2):
        with console.progress("tuning", 1) as bar:
            bar.advance()
    assert capsys.readouterr().err.count("device: cpu") == 1


def test_progress_that_is_over_in_a_moment_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("reading", 3, "files") as bar:
        bar.advance(3)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_a_bar_that_leaves_nothing_behind() -> None:
    console = Console()
    screen = io.StringIO()
    console.rich = RichConsole(file=screen, force_terminal=True, width=120, _environ={"TERM": "xterm"})
    with console.progress("tuning", 2) as bar:
        bar.advance(reward=0.5)
        bar.describe("judging")
    assert "judging" in screen.getvalue() and screen.getvalue().endswith("\x1b[2K")


def test_a_table_has_four_digits_and_no_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table("Scores", ["file", "reward"], [["a.npy", 0.123456], ["b.npy", None]])
    err = capsys.readouterr().err
    assert "0.1235" in err and "a.npy" in err and "-" in err.splitlines()[-2] and "\x1b" not in err


def test_memory_is_told() -> None:
    assert (resident_bytes() or 0) > 2**20
    assert memory_line().startswith("RSS ")
