"""Threads that wait for each other do not hold the processor."""

import os

import pytest

from motionrft_cli.waiting import SPINS, spin_briefly


def test_threads_spin_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    spin_briefly()
    assert os.environ.pop("GOMP_SPINCOUNT") == str(SPINS)


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "ACTIVE")])
def test_what_the_user_says_of_it_stands(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for each in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    spin_briefly()
    assert os.environ[name] == value
    assert name == "GOMP_SPINCOUNT" or "GOMP_SPINCOUNT" not in os.environ
