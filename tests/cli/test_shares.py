"""Work dealt out to processes and to jobs of an array gives what one process gives, in the order of the input."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.generators import save_generator
from motionrft.preferences import candidates
from motionrft.preferences.judges.rules import RuleJudge
from motionrft_cli import main as program
from tests.cli.conftest import Result
from tests.cli.test_prefer import SMALL
from tests.generators.families import WordEncoder, tiny
from tests.processes import together
from tests.representations.people import people

Run = Callable[..., Result]
FORKED = 2


@pytest.fixture
def motions(tmp_path: Path) -> Path:
    """Five motions of one person each, a file of two, and a broken one."""
    place = tmp_path / "motions"
    place.mkdir()
    for number in range(5):
        np.save(place / f"{number}.npy", people(30 + number, 1)[0].float().numpy())
    np.save(place / "5.npy", np.stack([people(30, seed)[0].float().numpy() for seed in (7, 8)]))
    (place / "3.npy").write_text("<!DOCTYPE html>")
    return place


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: WordEncoder())
    save_generator(tiny("built-in"), tmp_path / "model")
    return str(tmp_path / "model")


def in_processes(tmp_path: Path, *arguments: str, count: int = FORKED) -> list[Result]:
    """The program as `torchrun` would start it, in forked children; what each said, by rank."""

    def act(rank: int) -> int:
        sys.stdout, sys.stderr = ((tmp_path / f"{name}{rank}").open("w") for name in ("out", "err"))
        return program.run(arguments)

    codes = together(act, count)
    said = [[(tmp_path / f"{name}{rank}").read_text() for name in ("out", "err")] for rank in range(count)]
    return [Result(code, *texts) for code, texts in zip(codes, said, strict=True)]


def documents(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.out.splitlines()]


def test_processes_score_what_one_does(run: Run, motions: Path, tmp_path: Path) -> None:
    asked = ("score", str(motions), "--terms", "physics", "--json", "--device", "cpu")
    alone = run(*asked)
    for count in (2, 3):
        first, *others = in_processes(tmp_path, *asked, count=count)
        assert (first.code, documents(first)) == (3, documents(alone)) and "3.npy" in first.err
        assert all(other.code in (0, 3) and not other.out for other in others)


def test_texts_one_a_motion_go_to_the_right_motions(run: Run, motions: Path, tmp_path: Path) -> None:
    (motions / "3.npy").unlink()
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"text {number}\n" for number in range(7)))
    asked = (
        "score",
        str(motions),
        "--terms",
        "physics",
        "--json",
        "--text-file",
        str(texts),
        "--device",
        "cpu",
    )
    assert documents(in_processes(tmp_path, *asked)[0]) == documents(run(*asked))


def jobs(run: Run, tmp_path: Path, count: int, *asked: str) -> list[str]:
    """What each job of an array prints, in files."""
    files = []
    for job in range(1, count + 1):
        result = run(*asked, "--shard", f"{job}/{count}")
        assert result.code in (0, 3), result.err
        files.append(str(tmp_path / f"job-{job}.jsonl"))
        Path(files[-1]).write_text(result.out)
    return files


@pytest.mark.parametrize("count", [2, 8])
def test_jobs_of_an_array_score_what_one_does(run: Run, motions: Path, tmp_path: Path, count: int) -> None:
    """Of eight jobs two have no file, and one a broken one."""
    asked = ("score", str(motions), "--terms", "physics", "--json")
    files = jobs(run, tmp_path, count, *asked)
    assert documents(run("merge", *reversed(files), "--json")) == documents(run(*asked))


def test_several_local_processes_score_what_one_does(run: Run, motions: Path) -> None:
    for number in range(6, 40):
        np.save(motions / f"{number:02}.npy", people(24, number)[0].float().numpy())
    asked = ("score", str(motions), "--terms", "physics", "--json", "--fail-over", "jitter=0")
    alone, shared = run(*asked), run(*asked, "--jobs", "2")
    assert (shared.code, documents(shared)) == (alone.code, documents(alone))
    said = [sorted(line for line in each.err.splitlines() if "warning" in line) for each in (shared, alone)]
    assert said[0] == said[1]
    texts = motions / "texts.txt"
    texts.write_text("walk\n" * 50)
    assert run(*asked, "--jobs", "2", "--text-file", str(texts)).code == 2
    assert run("score", str(motions / "3.npy"), "--jobs", "2", "--terms", "physics").code == 2


def test_a_share_that_is_missing_or_there_twice_is_told(run: Run, motions: Path, tmp_path: Path) -> None:
    asked = ("score", str(motions), "--terms", "physics", "--json")
    first, second, third = jobs(run, tmp_path, 3, *asked)
    lines = Path(second).read_text().splitlines(keepends=True)
    names = ("cut", "gap", "other", "twin", "moved")
    cut, gap, other, twin, moved = (tmp_path / f"{name}.jsonl" for name in names)
    cut.write_text("".join(lines[:-1]))
    gap.write_text("".join(lines[1:]))
    other.write_text(run(*asked, "--fps", "30", "--shard", "2/3").out)
    twin.write_text(Path(first).read_text())
    (motions / "0.npy").rename(motions / "9.npy")
    moved.write_text(run(*asked, "--shard", "2/3").out)
    (motions / "9.npy").rename(motions / "0.npy")
    wrong = {
        (first, third): "missing 2/3",
        (first, second, third, str(twin)): "share 1/3 again",
        (first, str(cut), third): "cut.jsonl: its last line",
        (first, str(gap), third): "gap.jsonl: 1 lines of 2",
        (first, str(other), third): "of another array",
        (first, str(moved), third): "inputs differ",
        (first, second, str(motions)): "files and folders",
    }
    for parts, said in wrong.items():
        result = run("merge", *parts, "--out", str(tmp_path / "all.jsonl"))
        assert result.code == 2 and said in result.err, (said, result)
        assert not (tmp_path / "all.jsonl").exists()
    assert run("merge", first, second, third, "--out", str(tmp_path / "all.jsonl")).code == 0
    assert run("merge", first, second, third, "--out", str(tmp_path / "all.jsonl")).code == 2, "it is there"


@pytest.mark.parametrize("shard", ["0/2", "3/2", "half", "1/0"])
def test_a_share_that_is_none_is_refused(run: Run, motions: Path, shard: str) -> None:
    result = run("score", str(motions), "--shard", shard)
    assert result.code == 2 and "1/4 to 4/4" in result.err


def test_processes_and_jobs_sample_what_one_does(run: Run, model: str, tmp_path: Path) -> None:
    asked = (
        "sample",
        "a",
        "b",
        "c",
        "--num",
        "2",
        "--seconds",
        "2",
        "--steps",
        "2",
        "--json",
        "--device",
        "cpu",
    )
    asked = (*asked, "--generator", model, "--out")
    alone, shared, array = (tmp_path / name for name in ("alone", "shared", "array"))
    expected = documents(run(*asked, str(alone)))
    found = documents(in_processes(tmp_path, *asked, str(shared))[0])
    parts = jobs(run, tmp_path, 2, *asked, str(array))
    merged = documents(run("merge", *parts, "--json"))
    assert [(line["prompt"], line["seed"]) for line in merged] == [
        (line["prompt"], line["seed"]) for line in expected
    ]
    assert run(*asked, str(array), "--shard", "2/2").code == 2, "its own files are there"
    assert [line["prompt"] for line in found] == [line["prompt"] for line in expected]
    for line in expected:
        name, motion = Path(line["file"]).name, np.load(line["file"])
        for other in (shared, array):
            np.testing.assert_allclose(np.load(other / name), motion, rtol=1e-4, atol=1e-4)


def test_processes_convert_what_one_does(run: Run, motions: Path, tmp_path: Path) -> None:
    asked = ("convert", str(motions), "--to", "kinematic", "--json", "--device", "cpu", "--out")
    alone = documents(run(*asked, str(tmp_path / "alone")))
    first, _ = in_processes(tmp_path, *asked, str(tmp_path / "shared"))
    assert first.code == 3
    assert [line["file"] for line in documents(first)] == [line["file"] for line in alone]
    for file in (tmp_path / "alone").iterdir():
        np.testing.assert_array_equal(np.load(file), np.load(tmp_path / "shared" / file.name))


def test_jobs_convert_what_one_does(run: Run, motions: Path, tmp_path: Path) -> None:
    asked = ("convert", str(motions), "--to", "kinematic", "--json", "--out")
    alone = documents(run(*asked, str(tmp_path / "alone")))
    merged = documents(run("merge", *jobs(run, tmp_path, 2, *asked, str(tmp_path / "array")), "--json"))
    assert [line["file"] for line in merged] == [line["file"] for line in alone]


def test_processes_build_a_data_set_together_and_one_says_so(run: Run, motions: Path, tmp_path: Path) -> None:
    (motions / "3.npy").unlink()
    captions = [json.dumps({"clip_id": str(number), "captions": ["a person walks"]}) for number in range(5)]
    (tmp_path / "captions.jsonl").write_text("\n".join(captions))
    (tmp_path / "splits.csv").write_text("clip_id,split\n0,train\n1,train\n2,val\n4,test\n")
    asked = ("convert", str(motions), "--dataset", "--json", "--splits", str(tmp_path / "splits.csv"))
    asked = (*asked, "--captions", str(tmp_path / "captions.jsonl"), "--out")
    (alone,) = documents(run(*asked, str(tmp_path / "alone")))
    first, other = in_processes(tmp_path, *asked, str(tmp_path / "shared"))
    assert (first.code, other.code) == (0, 0), first.err + other.err
    assert documents(first) == [alone | {"out": str(tmp_path / "shared")}] and not other.out + other.err
    first, other = in_processes(tmp_path, *asked, str(motions))
    assert (first.code, other.code) == (2, 2) and "error:" in first.err and not other.err
    assert run(*asked, str(tmp_path / "share"), "--shard", "1/2").code == 2, "a data set is made whole"


def test_processes_make_the_preference_pairs_that_one_makes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(RuleJudge, "at_once", 3)
    asked = (
        "prefer",
        *SMALL,
        "--set",
        "judge.data=null",
        "--set",
        "pairs.margin=0.01",
        "--json",
        "--device",
        "cpu",
        "--out",
    )
    (alone,) = documents(run(*asked, str(tmp_path / "alone")))
    first, other = in_processes(tmp_path, *asked, str(tmp_path / "shared"))
    assert (first.code, other.code) == (0, 0), first.err + other.err
    assert documents(first) == [alone | {"out": str(tmp_path / "shared")}] and not other.out + other.err
    for place in ("alone", "shared"):
        told = [json.loads(line) for line in (tmp_path / place / "judgements.jsonl").read_text().splitlines()]
        assert len(told) == 12
        (tmp_path / place / "judgements.jsonl").write_text(str([line | {"seconds": 0} for line in told]))
    written = [
        {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}
        for place in (tmp_path / "alone", tmp_path / "shared")
    ]
    assert written[0] == written[1] and len(written[0]) > 10
    drawn = (*asked, str(tmp_path / "shared"), "--resume", "--stage", "sheets")
    assert documents(in_processes(tmp_path, *drawn)[0])[0]["sheets"] == 12
    assert len(list((tmp_path / "shared" / "sheets").iterdir())) == 12


def test_a_command_that_runs_in_one_process_says_so_once(motions: Path, tmp_path: Path) -> None:
    first, other = in_processes(tmp_path, "convert", str(motions), "--check")
    assert (first.code, other.code) == (2, 2)
    assert "convert --check runs in one process; 2 were started" in first.err and not other.err


@pytest.mark.parametrize(
    "asked",
    [
        ("merge", "a.jsonl"),
        ("check", "a.npy"),
        ("convert", "a.npy", "b.npy", "--join"),
        ("convert", "a.bvh", "--show-joint-map"),
        ("convert", "model", "--to", "official"),
        ("convert", "a.pt", "--to", "motionrft"),
    ],
)
def test_what_is_done_once_is_not_done_by_several(
    run: Run, asked: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b.npy", "a.bvh", "a.pt", "a.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "model").mkdir()
    monkeypatch.setenv("WORLD_SIZE", "3")
    result = run(*asked)
    assert result.code == 2 and "runs in one process; 3 were started" in result.err
