"""motionrft sample: prompts in, files and JSON lines out; the same motion whatever surrounds it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.generators import save_generator
from tests.cli.conftest import Result, clean_environment
from tests.generators.families import WordEncoder, tiny

Run = Callable[..., Result]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Folder of a tiny generator; texts are read without a pretrained encoder."""
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: WordEncoder())
    save_generator(tiny("built-in"), tmp_path / "model")
    return str(tmp_path / "model")


def lines(result: Result) -> list[dict]:
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_one_line_and_all_files_a_motion(run: Run, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("--num", "2", "--seconds", "2", "--steps", "2", "--format", "npy,bvh,html")
    found = lines(
        run("sample", "a person waves", "they sit", *asked, "--json", "--generator", model, "--out", str(out))
    )
    assert [line["prompt"] for line in found] == ["a person waves"] * 2 + ["they sit"] * 2
    assert len({line["seed"] for line in found}) == 4
    for line in found:
        assert line["frames"] == 40 and line["fps"] == 20 and line["representation"] == "kinematic"
        assert np.load(line["file"]).shape == (40, 263)
        assert all(Path(file).stat().st_size > 0 for file in line["files"])
        assert Path(line["file"]).with_suffix(".txt").read_text().strip() == line["prompt"]


def test_a_prompts_motion_depends_on_nothing_beside_it(run: Run, model: str, tmp_path: Path) -> None:
    common = ("--steps", "2", "--json", "--generator", model, "--format", "npy")
    together = lines(
        run("sample", "they sit", "a person waves", "they run", *common, "--out", str(tmp_path / "a"))
    )
    alone = lines(run("sample", "a person waves", *common, "--set", "batch=1", "--out", str(tmp_path / "b")))
    motions = [np.load(line["file"]) for line in (together[1], alone[0])]
    np.testing.assert_allclose(motions[0], motions[1], atol=1e-4)


def test_prompts_from_a_file(run: Run, model: str, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_bytes("\ufeffthey sit\r\n\r\n走る\r\n".encode())
    arguments = ("--text-file", str(tmp_path / "prompts.txt"), "--generator", model, "--steps", "2", "--json")
    found = lines(run("sample", *arguments, "--format", "npy", "--out", str(tmp_path / "out")))
    assert [line["prompt"] for line in found] == ["they sit", "走る"]


def test_resume_makes_only_what_is_missing(run: Run, model: str, tmp_path: Path) -> None:
    arguments = ("sample", "they sit", "they run", "--steps", "2", "--generator", model, "--format", "npy")
    first = lines(run(*arguments, "--json", "--out", str(tmp_path / "out")))
    Path(first[1]["file"]).unlink()
    again = lines(run(*arguments, "--json", "--resume", "--out", str(tmp_path / "out")))
    assert again == first[1:]
    assert json.loads((tmp_path / "out" / "sampling.json").read_text())["fps"] == 20
    changed = run(*arguments, "--seed", "5", "--resume", "--out", str(tmp_path / "out"))
    assert changed.code == 2 and "sampled otherwise: seed: 0 -> 5" in changed.err
    (tmp_path / "out" / Path(first[0]["file"]).with_suffix(".txt").name).write_text("they sat\n")
    assert lines(run(*arguments, "--json", "--resume", "--out", str(tmp_path / "out"))) == first[:1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "what to make"),
        (("they sit", "--seconds", "60"), "16 and 200 at 20 frames a second"),
        (("  ",), "empty"),
        (("they sit", "--format", "fbx"), "npy"),
        (("they sit", "--set", "sampler=euler"), "ddim"),
    ],
)
def test_wrong_input_is_one_sentence(
    run: Run, model: str, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = run("sample", *arguments, "--generator", model, "--out", str(tmp_path / "out"))
    assert result.code == 2 and words in result.err and "Traceback" not in result.err
    assert not (tmp_path / "out").exists()


def test_dry_run_writes_nothing(run: Run, model: str, tmp_path: Path) -> None:
    result = run(
        "sample", "they sit", "--generator", model, "--dry-run", "--json", "--out", str(tmp_path / "o")
    )
    assert lines(result)[0]["motions"] == 1 and not (tmp_path / "o").exists()


@pytest.mark.executable
def test_a_new_text_needs_no_library_that_is_slow_to_import(tmp_path: Path) -> None:
    """They take seconds, as long as torch itself."""
    asked = ["sample", "a person limps", "--steps", "2", "--seconds", "2", "--out", "out", "--quiet"]
    code = (
        f"import sys; from motionrft_cli.main import run; assert run({asked!r}) == 0; "
        "sys.exit(' '.join({'transformers', 'scipy', 'sympy'} & set(sys.modules)) or 0)"
    )
    environment = clean_environment(MOTIONRFT_CACHE=str(tmp_path / "cache"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
