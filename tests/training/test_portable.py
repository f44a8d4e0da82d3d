"""A run folder opens on systems without POSIX locks and signals, and says once what is lost."""

import importlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motionrft.training import lock, memory, signals
from motionrft.training.devices import resolve_device
from motionrft.training.run import RunFolder


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system without `fcntl`, `resource`, SIGHUP and SIGUSR1."""
    known = importlib.import_module

    def without(name: str, *given: Any) -> Any:
        if name in ("fcntl", "resource"):
            raise ImportError(name)
        return known(name, *given)

    monkeypatch.setattr(lock, "import_module", without)
    monkeypatch.setattr(memory, "import_module", without)
    for name in ("SIGHUP", "SIGUSR1"):
        monkeypatch.delattr(signal, name)
    yield


def test_a_run_folder_opens_and_goes_on_there(elsewhere: None, tmp_path: Path) -> None:
    with (
        RunFolder.open(tmp_path / "run", {"seed": 0}, {"device": "cpu"}) as folder,
        signals.Signals() as asked,
    ):
        folder.append_metrics({"update": 1})
        folder.save_checkpoint(1, {"a": 1})
        said = folder.warnings
        assert (asked.stop, asked.save) == (None, False)
    assert [
        sentence.count("no POSIX locks") + sentence.count("no SIGHUP and no SIGUSR1") for sentence in said
    ] == [1, 1]
    with RunFolder.open(tmp_path / "run", {"seed": 0}, {"device": "cpu"}, resume=True) as again:
        assert again.load_latest() == (1, {"a": 1})


def test_memory_is_read_without_the_record_of_the_system(elsewhere: None) -> None:
    read = memory.MemoryMeter().read()
    assert read["peak_bytes"] == read["rss_bytes"] > 0


def test_here_nothing_is_lost(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", {"seed": 0}, {"device": "cpu"}) as folder:
        assert folder.warnings == []


def test_mps_is_for_those_who_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said: list[str] = []
    assert resolve_device("auto", said.append).type == "cpu" and "mps has to be asked for" in said[0]
    assert resolve_device("mps", said.append).type == "mps"
