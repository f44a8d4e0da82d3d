"""`prefer` killed at any stage goes on: nothing is asked twice, counted at the server, and what it makes is the same.

`MOTIONRFT_KILLS=1 pytest tests/preferences/test_killed.py` dies at every moment; usually it is every eleventh.
"""

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motionrft.preferences import run as preferring
from motionrft.preferences.judges import endpoint
from motionrft.registry import TEXT_ENCODERS
from motionrft_cli import main as program
from tests.generators.families import WordEncoder
from tests.kills.engine import finished, forked
from tests.preferences.killed import dying, small_prefer
from tests.preferences.serving import Server
from tests.preferences.test_endpoint import server
from tests.preferences.test_validation import data

__all__ = ["data", "server"]
EVERY = 1 if os.environ.get("MOTIONRFT_KILLS") else 11
JOURNALS = ("written.jsonl", "validation.jsonl", "judgements.jsonl")
MADE = ("prompts.jsonl", "judge.json", "pairs.jsonl", "pairs_val.jsonl", "pairs_labels.jsonl")


class Scene:
    """A run's words, and the server that it asks."""

    def __init__(self, server: Server, folder: Path, data: Path):
        self.server, self.folder, self.words = server, folder, small_prefer(folder, data)
        self.log = folder / "log"

    def go(self, out: Path, further: tuple[str, ...] = (), moment: int = 0) -> int:
        """Once: from the beginning, or on with what is there; the exit code."""
        again = ("--resume",) if out.exists() else ()
        with dying(moment):
            child = forked([*self.words, *further, *again, "--out", str(out)], self.log)
        return finished(child)

    def whole(self) -> Path:
        """A run that nobody killed, in this process: what it imports serves the children too."""
        out = self.folder / "whole"
        assert program.run([*self.words, "--out", str(out)]) == 0
        return out

    def forget(self) -> None:
        """Count anew."""
        self.server.asked.clear()


@pytest.fixture
def scene(server: Server, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setitem(TEXT_ENCODERS.added, "words", (lambda path, device: WordEncoder(), "a test"))
    for module in (endpoint, preferring):  # a whole sheet takes longer than all the rest
        monkeypatch.setattr(module, "frame_sheet", thumbnail)
    return Scene(server, tmp_path, data)


def thumbnail(joints: np.ndarray, fps: float, kind: str) -> Image.Image:
    """A picture that no other motion has."""
    return Image.frombytes("L", (8, 4), hashlib.sha256(joints.tobytes()).digest())


def lines(path: Path) -> list[dict]:
    """Of a journal, without what differs by the clock."""
    return [{**json.loads(line), "seconds": 0} for line in path.read_text().splitlines()]


def compare(whole: Path, shot: Path) -> None:
    """All that a run makes."""
    for name in MADE:
        assert (shot / name).read_bytes() == (whole / name).read_bytes(), name
    for name in JOURNALS:
        assert lines(shot / name) == lines(whole / name), name
    assert sorted(p.name for p in shot.rglob("*.npz")) == sorted(p.name for p in whole.rglob("*.npz"))
    assert not [path for path in shot.rglob("*") if path.name.endswith(".tmp")]


def answers_kept(out: Path) -> int:
    """Whole lines of all journals."""
    return sum((out / name).read_bytes().count(b"\n") for name in JOURNALS if (out / name).exists())


def test_killed_at_files_of_every_stage_it_makes_the_same_and_asks_nothing_twice(scene: Scene) -> None:
    whole = scene.whole()
    asked = len(scene.server.asked)
    assert asked == answers_kept(whole) == 6 + 6 + 12
    moment, kills = EVERY, 0
    while True:
        out = scene.folder / f"shot-{moment}"
        code = scene.go(out, moment=moment)
        if code == 0:
            break
        kept = answers_kept(out)
        scene.forget()
        assert code == -signal.SIGKILL and scene.go(out) == 0, scene.log.read_text()
        compare(whole, out)
        assert len(scene.server.asked) == asked - kept
        moment, kills = moment + EVERY, kills + 1
    assert kills >= 4


@pytest.mark.parametrize("number", [2, 9, 17])  # of prompts, of validation, of judgements
def test_killed_while_it_waits_for_an_answer_it_asks_that_again_alone(scene: Scene, number: int) -> None:
    whole = scene.whole()
    asked = len(scene.server.asked)
    scene.forget()
    out, child = scene.folder / "shot", list[int]()
    scene.server.on_request = lambda count: os.kill(child[0], signal.SIGKILL) if count == number else None
    child.append(forked([*scene.words, "--out", str(out)], scene.log))
    assert finished(child[0]) == -signal.SIGKILL
    assert scene.go(out) == 0, scene.log.read_text()
    compare(whole, out)
    assert len(scene.server.asked) == asked + 1


def test_killed_while_it_draws_sheets_it_draws_the_rest(scene: Scene) -> None:
    whole = scene.whole()
    assert scene.go(whole, ("--stage", "sheets"), moment=4) == -signal.SIGKILL
    assert 0 < len(list((whole / "sheets").glob("*.png"))) < 12
    assert scene.go(whole, ("--stage", "sheets")) == 0
    assert len(list((whole / "sheets").iterdir())) == 12
