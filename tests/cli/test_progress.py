"""What a person sees of a running loop, at every width of a terminal."""

import re

import pytest

from motionrft_cli import memory, progress
from motionrft_cli.console import Console
from motionrft_cli.progress import Bar, Pace, clock
from motionrft_cli.training_progress import LoopProgress

METRICS = {
    "loss": -1.966587,
    "reward": 1.966587,
    "reward/semantic": 0.976997,
    "reward/similarity": 0.98959,
    "grad_norm": 0.0483312,
    "lr": 1.784365e-05,
    "graph_bytes": 29097892.0,
}
WIDTHS = (40, 80, 100, 120, 160)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves: its last entry is now."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[-1])
    return now


@pytest.fixture
def bar(clocked: list[float], monkeypatch: pytest.MonkeyPatch) -> Bar:
    """120 of 750 updates in a minute, all metrics known."""
    shown = Bar("easytune", Pace(750), "updates")

    class Recorder(Console):
        def progress(self, *_, **__):  # type: ignore[no-untyped-def,override]
            from contextlib import nullcontext

            return nullcontext(shown)

    monkeypatch.setattr(progress, "memory_line", lambda: "RSS 812 MiB")
    loop = LoopProgress(Recorder(), "easytune")
    loop.start(750, 0)
    clocked.append(60.0)
    loop.update(120, METRICS)
    return shown


@pytest.mark.parametrize("width", WIDTHS)
def test_what_must_be_seen_is_seen_and_whole(bar: Bar, width: int) -> None:
    lines = bar.lines(width)
    assert len(lines) <= 3 and max(map(len, lines)) <= width
    text = "\n".join(lines)
    for item in ("easytune ━", "─ 120/750 5:15 left", "reward 1.967", "RSS 812 MiB"):
        assert item in text
    whole = {"-1.967", "1.967", "0.977", "0.9896", "0.04833", "1.784e-05", "120", "750", "5", "15", "812"}
    assert set(re.findall(r"-?\d+(?:\.\d+)?(?:e-\d+)?", text)) <= whole


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_from_80_columns_the_first_line_has_all_of_it(bar: Bar, width: int) -> None:
    first, *further = bar.lines(width)
    assert re.fullmatch(r"easytune ━+─+ 120/750 5:15 left  reward 1.967  RSS 812 MiB", first)
    assert "reward/semantic 0.977" in further[0] and "lr 1.784e-05" in "".join(further)


def test_the_peaks_of_a_gpu_fit_as_well(bar: Bar, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = memory.gpu_words(41 * 2**30, 52 * 2**30)
    monkeypatch.setattr(progress, "memory_line", lambda: gpu)
    assert gpu == "GPU 41.00 GiB peak, 52.00 reserved"
    assert gpu in "\n".join(bar.lines(80)) and gpu in "\n".join(bar.lines(40))


def test_a_long_name_is_shortened_and_not_a_number(clocked: list[float]) -> None:
    long = Bar("sampling runs/a-very-long-name-of-a-run/generator", Pace(15200), "motions")
    (first, *_) = long.lines(40)
    assert len(first) <= 40 and first.endswith("0/15200 -:-- left") and "…" in first


def test_the_time_left_follows_the_pace_of_this_session(clocked: list[float]) -> None:
    pace = Pace(100, done=60)
    assert pace.left() is None
    clocked.append(30.0)
    pace.done += 10
    assert pace.left() == pytest.approx(90.0) and pace.fraction() == pytest.approx(0.7)


def test_a_time_limit_ends_a_loop_that_nobody_counted(clocked: list[float]) -> None:
    pace = Pace(None, seconds=600.0)
    clocked.append(150.0)
    pace.done = 33
    assert (pace.count(), pace.fraction(), pace.left()) == ("33", 0.25, 450.0)


def test_the_first_of_two_limits_tells_the_time_left(clocked: list[float]) -> None:
    pace = Pace(1000, seconds=600.0)
    clocked.append(100.0)
    pace.done = 10
    assert pace.left() == 500.0


def test_times_are_written_as_clocks_show_them() -> None:
    assert [clock(each) for each in (None, 7.4, 187, 3753)] == ["-:--", "0:07", "3:07", "1:02:33"]
