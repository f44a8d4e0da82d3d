"""Of several processes one speaks and looks at --out; the others follow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from motionrft.settings.base import Preset
from motionrft_cli.options import Call
from tests.cli.conftest import Result
from tests.cli.test_main import toy


@pytest.mark.parametrize(("rank", "code"), [(None, 2), ("0", 2), ("1", 0)])
def test_only_the_first_process_checks_the_folder(
    run: Callable[..., Result],
    as_command: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    rank: str | None,
    code: int,
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    if rank is not None:
        monkeypatch.setenv("RANK", rank)

    def body(call: Call[Preset]) -> int:
        call.output_folder()
        return 0

    as_command("score", toy(body))
    assert run("score", "a", "--out", str(tmp_path / "used")).code == code


@pytest.mark.parametrize(("rank", "said"), [("0", True), ("1", False)])
def test_only_the_first_process_speaks(
    run: Callable[..., Result],
    as_command: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    rank: str,
    said: bool,
) -> None:
    monkeypatch.setenv("RANK", rank)

    def body(call: Call[Preset]) -> int:
        call.console.emit({"done": True})
        call.console.info("done")
        return 0

    as_command("score", toy(body))
    result = run("score", "a", "--json")
    assert (bool(result.out), bool(result.err)) == (said, said)
