"""What a user gets wrong ends in one line and exit code 2, before any compute, whatever the command."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from motionrft_cli.commands import COMMANDS, load_function
from tests.cli.conftest import Result, clean_environment
from tests.fuzz import seeds

Run = Callable[..., Result]

# Enough of a command line to reach the question of where to write.
WRITING = {
    "convert": ["convert", "{motion}", "--to", "joints"],
    "pretrain": ["pretrain", "--preset", "mini-mld", "--data", "{data}"],
    "train-reward": ["train-reward", "--preset", "mini", "--data", "{data}"],
    "refine-spl": ["refine-spl", "--data", "{data}"],
    "prefer": ["prefer"],
    "finetune": ["finetune"],
    "sample": ["sample", "a person waves"],
    "eval": ["eval", "physics", "--motions", "{motions}"],
}
FOLDERS = [name for name in WRITING if name not in {"convert", "sample"}]
RESUMABLE = [name for name in COMMANDS if "allow_changed" in signature(load_function(name)).parameters]


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """A motion, a folder of motions, and a data set that is not there."""
    motions = tmp_path / "motions"
    motions.mkdir()
    still = np.zeros((40, 22, 3), np.float32) + np.arange(22, dtype=np.float32)[None, :, None] * 0.05
    np.save(motions / "still.npy", still)
    return {"motion": str(motions / "still.npy"), "motions": str(motions), "data": str(tmp_path / "no-data")}


def line(command: str, place: dict[str, str]) -> list[str]:
    return [word.format(**place) for word in WRITING[command]]


def refused(result: Result, *said: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that says it."""
    assert (result.code, result.out) == (2, ""), result
    assert result.err.count("\n") == 1 and result.err.startswith("error: "), result.err
    assert all(each in result.err for each in said), result.err


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_in_use_is_not_clobbered(
    run: Run, place: dict[str, str], tmp_path: Path, command: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    refused(run(*line(command, place), "--out", str(tmp_path / "out")), "--overwrite")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(
    ("command", "mark"),
    [
        *(("finetune", mark) for mark in ("preset.yaml", "env.json", "manifest.json")),
        *(("convert", mark) for mark in ("preset.yaml", "dataset.json")),
        *((command, "preset.yaml") for command in ("train-reward", "pretrain")),
    ],
)
def test_overwrite_deletes_nothing_that_no_run_wrote(
    run: Run, place: dict[str, str], tmp_path: Path, command: str, mark: str
) -> None:
    out = tmp_path / "out"
    (out / "src").mkdir(parents=True)
    mine = {"thesis.tex": "years", "src/main.py": "code", mark: "{}"}
    for name, text in mine.items():
        (out / name).write_text(text)
    (tmp_path / "set").mkdir()
    seeds.data_set(tmp_path / "set")
    (tmp_path / "set" / "val.txt").write_text("a\nb\n")
    place = {**place, "data": str(tmp_path / "set")}
    words = line(command, place) if command != "convert" else ["convert", place["motion"], "--dataset"]
    if command == "convert":
        seeds.captions(tmp_path)
        seeds.splits(tmp_path)
        words += ["--captions", str(tmp_path / "captions.jsonl"), "--splits", str(tmp_path / "splits.csv")]
    result = run(*words, "--out", str(out), "--overwrite")
    assert result.code == 2 and "Traceback" not in result.err, result
    assert {name: (out / name).read_text() for name in mine} == mine


@pytest.mark.parametrize("command", WRITING)
def test_a_file_is_no_folder(run: Run, place: dict[str, str], tmp_path: Path, command: str) -> None:
    (tmp_path / "out").write_text("mine")
    refused(run(*line(command, place), "--out", str(tmp_path / "out")), "is a file")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there(run: Run, place: dict[str, str], tmp_path: Path, command: str) -> None:
    words = line(command, place) if command in WRITING else [command, place["motion"]]
    result = run(*words, "--out", str(tmp_path / "out"), "--device", "cuda:99")
    alone = (
        "convert runs on the processor"
        if command == "convert"
        else "not on this machine. There are: auto, cpu"
    )
    refused(result, f"--device cuda:99: {alone}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_key_names_the_nearest(run: Run, command: str) -> None:
    refused(run(command, "--show-preset", "--set", "sed=3"), "--set sed: unknown field (value 3)", "seed")


@pytest.mark.parametrize("command", RESUMABLE)
def test_an_unknown_key_that_may_change_names_the_nearest(
    run: Run, place: dict[str, str], tmp_path: Path, command: str
) -> None:
    words = (*line(command, place), "--out", str(tmp_path / "out"), "--resume")
    refused(run(*words, "--allow-changed", "sed"), "--allow-changed sed: unknown field. Did you mean seed")
    assert not (tmp_path / "out").exists()
    assert (
        run(
            command,
            "--show-preset",
            "--allow-changed",
            "seed",
            "--allow-changed",
            "data",
            "--allow-changed",
            "validation",
        ).code
        == 0
    )


def test_a_field_that_a_run_once_had_may_have_changed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "preset.yaml").write_text("long_gone: {field: 3}\n")
    words = ("finetune", "--preset", "mini-easytune", "--show-preset", "--out", str(tmp_path))
    assert run(*words, "--allow-changed", "long_gone.field").code == 0
    refused(run(*words, "--allow-changed", "long_gone.other"), "long_gone.other: unknown field")


@pytest.mark.parametrize("command", ["pretrain", "train-reward", "refine-spl"])
def test_a_data_set_that_is_not_there(run: Run, place: dict[str, str], tmp_path: Path, command: str) -> None:
    refused(run(*line(command, place), "--out", str(tmp_path / "out")), "no-data")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--generator", "--reward", "--data", "--prompts"])
def test_a_model_or_file_that_is_not_there(run: Run, tmp_path: Path, flag: str) -> None:
    missing = str(tmp_path / "nowhere")
    refused(run("finetune", flag, missing, "--out", str(tmp_path / "out")), missing)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf\r\n"])
def test_a_prompt_file_without_a_prompt(run: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    refused(run("finetune", "--prompts", str(file), "--out", str(tmp_path / "out")), "prompts.txt")
    refused(run("sample", "--text-file", str(file), "--out", str(tmp_path / "out")), "prompts.txt")
    assert not (tmp_path / "out").exists()


BAD_MOTIONS = {
    "page.npy": (b"<!DOCTYPE html><html></html>", "a web page"),
    "empty.npy": (b"", "empty"),
    "cut.npy": (b"\x93NUMPY\x01\x00", "damaged"),
}


@pytest.mark.parametrize("name", BAD_MOTIONS)
@pytest.mark.parametrize("command", ["convert", "score"])
def test_a_file_that_is_no_motion(run: Run, tmp_path: Path, command: str, name: str) -> None:
    content, said = BAD_MOTIONS[name]
    (tmp_path / name).write_bytes(content)
    words = (
        ["--to", "joints", "--out", str(tmp_path / "out")] if command == "convert" else ["--terms", "physics"]
    )
    refused(run(command, str(tmp_path / name), *words), name, said)
    assert not (tmp_path / "out").exists()


def test_one_bad_file_among_good_ones_is_skipped(run: Run, place: dict[str, str], tmp_path: Path) -> None:
    bad = np.load(place["motion"]).copy()
    bad[7] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    (tmp_path / "empty").mkdir()
    inputs = (place["motion"], str(tmp_path / "bad.npy"), str(tmp_path / "empty"), place["motion"])
    result = run("score", *inputs, "--terms", "physics", "--json")
    assert result.code == 3 and "bad.npy" in result.err and "7" in result.err
    assert "empty: no motion file below it" in result.err
    documents = [json.loads(each) for each in result.out.splitlines()]
    assert [document["file"] for document in documents] == [place["motion"]] * 2
    assert "NaN" not in result.out


@pytest.mark.executable
def test_scores_stream_and_a_reader_may_leave(place: dict[str, str]) -> None:
    """A score comes while the list is still being written; then the reader goes, and nobody complains."""
    command = [sys.executable, "-m", "motionrft_cli.main", "score", "-", "--terms", "physics", "--json"]
    pipe = subprocess.PIPE
    name = os.fsencode(place["motion"]) + b"\n"
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=clean_environment()) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        watchdog = Timer(300, process.kill)
        watchdog.start()
        process.stdin.write(name * 64)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["file"] == place["motion"]
        process.stdout.close()
        process.stdin.write(name * 64)
        process.stdin.close()
        assert process.wait() == 0
        said = process.stderr.read().splitlines()
        assert all(line.startswith(b"warning: ") for line in said), said
        watchdog.cancel()
