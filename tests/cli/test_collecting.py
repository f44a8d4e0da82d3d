"""Garbage is collected as Python does it once there is work; what is imported, and what is left at the end, is not."""

import gc
from collections.abc import Callable, Iterator

import pytest

from motionrft.settings.base import Preset
from motionrft_cli import collecting, main
from motionrft_cli.options import Call
from tests.cli.conftest import Result
from tests.cli.test_main import toy

USUAL = gc.get_threshold()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    gc.set_threshold(*USUAL)
    gc.unfreeze()


def test_work_begins_with_the_usual_collection(
    run: Callable[..., Result], as_command: Callable[..., None]
) -> None:
    seen = []

    def body(call: Call[Preset]) -> int:
        seen.append(gc.get_threshold()[0])
        call.device()
        seen.append(gc.get_threshold()[0])
        return 0

    as_command("score", toy(body))
    collecting.seldom()
    assert run("score", "a", "--device", "cpu").code == 0
    assert seen[0] > 10 * seen[1] and seen[1] == USUAL[0] and gc.isenabled()


def test_the_end_traverses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["motionrft", "--version"])
    gc.unfreeze()
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 0 and gc.get_freeze_count() > 1000 and "motionrft" in capsys.readouterr().out
