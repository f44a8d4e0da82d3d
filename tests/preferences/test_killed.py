"""`prefer` killed at any stage goes on, and nothing that was answered is asked for twice: counted at the server."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from motionrft.generators.folder import save_generator
from motionrft.preferences import run as preferring
from motionrft.preferences.preset import PreferPreset
from motionrft.preferences.run import STAGES, Preferring
from motionrft.registry import TEXT_ENCODERS
from tests.generators.families import WordEncoder
from tests.generators.token_families import tiny_tokens
from tests.preferences.test_endpoint import GOOD, Server, server

__all__ = ["server"]
USUAL = [stage for stage in STAGES if stage not in ("sheets", "validate")]


class Killed(BaseException):
    """Nothing in the program catches it."""


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(TEXT_ENCODERS.added, "words", (lambda path, device: WordEncoder(), "a test"))
    made = tiny_tokens("token-decoder")
    object.__setattr__(made.config, "text", "words")
    save_generator(made, tmp_path / "generator")
    return str(tmp_path / "generator")


@pytest.mark.parametrize("stage, after", [("candidates", 1), ("judge", 3), ("pairs", 1)])
def test_a_killed_run_goes_on(
    server: Server, generator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, after: int
) -> None:
    server.answers = [GOOD] * 20
    given = {"generator": generator, "kinds": {"frequency": 3}, "candidates": 2, "events": ["bow"]}
    preset = PreferPreset.of({**given, "judge": {"name": "endpoint", "parallel": 1}})
    seen: Counter[str] = Counter()

    def die(name: str, more: int, whole: int) -> None:
        seen[name] += 1
        if name == stage and seen[name] > after:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        if stage == "pairs":
            patched.setattr(
                preferring, "write_pairs", lambda *given: die("pairs", 1, 1) or die("pairs", 1, 1)
            )
        Preferring(preset, tmp_path / "out", torch.device("cpu"), die).run(USUAL)
    told = Preferring(preset, tmp_path / "out", torch.device("cpu")).run(USUAL)
    pictures = [hashlib.sha256(json.dumps(each["body"]).encode()).hexdigest() for each in server.asked]
    assert len(set(pictures)) == told["motions"] == 6
    on_its_way = stage == "judge"  # the call that the kill cut off; what was answered is never asked again
    assert len(pictures) <= 6 + on_its_way
    assert (tmp_path / "out" / "pairs.jsonl").is_file()
