"""Several processes evaluate as one does: they share what is sampled, or the files, and one of them speaks."""

import json

import numpy as np

from tests.cli.test_shares import documents, in_processes
from tests.evaluation.test_command import _eval, models, words  # noqa: F401 - fixtures
from tests.representations.people import people


def test_a_generator_is_judged_alike(models, folder, tmp_path, capsys):  # noqa: F811
    """Five batches of four items, twice: three and two batches each."""
    asked = ("--generator", str(models / "first"), "--set", "steps=2", "--set", "batch=4", "--json")
    assert _eval(models, folder, "generation", *asked, "--out", str(tmp_path / "alone")) == 0
    alone = json.loads(capsys.readouterr().out)
    common = ("--data", str(folder), "--evaluator", str(models / "evaluator"), "--repeats", "2")
    out = tmp_path / "shared"
    first, second = in_processes(
        tmp_path, "eval", "generation", *common, *asked, "--device", "cpu", "--out", str(out)
    )
    assert (first.code, second.code, second.out) == (0, 0, ""), first.err
    assert documents(first) == [alone]
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "alone").iterdir()}


def test_events_are_judged_alike(models, tmp_path, capsys):  # noqa: F811
    """Three prompts in two batches, twice; a precision that is asked for acts."""
    from motionrft_cli.main import run

    prompts = tmp_path / "prompts.jsonl"
    told = {"kind": "integrity", "events": ["walk"], "count": 1, "held_out": True}
    lines = [{**told, "id": f"p{n}", "text": f"a person walks {n}", "seconds": 2.0 + n} for n in range(3)]
    prompts.write_text("\n".join(map(json.dumps, lines)))
    asked = ("eval", "events", "--generator", str(models / "first"), "--set", f"events.prompts={prompts}")
    asked = (*asked, "--set", "steps=2", "--set", "batch=2", "--repeats", "2", "--json", "--device", "cpu")
    assert run(asked) == 0
    alone = json.loads(capsys.readouterr().out)
    first, second = in_processes(tmp_path, *asked)
    assert (first.code, second.code, second.out) == (0, 0, ""), first.err
    assert documents(first) == [alone]
    assert run([*asked, "--precision", "bf16"]) == 0
    half = json.loads(capsys.readouterr().out)
    assert half["metrics"] != alone["metrics"]
    assert half["environment"]["precision"] == "bfloat16"


def test_files_are_measured_alike_and_a_bad_one_is_told_once(tmp_path, capsys):
    from motionrft_cli.main import run

    (tmp_path / "in").mkdir()
    for number in range(5):
        np.save(tmp_path / "in" / f"{number}.npy", people(30 + number, number)[0].float().numpy())
    (tmp_path / "in" / "3.npy").write_text("<!DOCTYPE html>")
    asked = ("eval", "physics", "--motions", str(tmp_path / "in"), "--json", "--device", "cpu")
    assert run(asked) == 3
    alone = json.loads(capsys.readouterr().out)
    first, second = in_processes(tmp_path, *asked)
    assert (first.code, second.code, second.out) == (3, 3, "")
    assert documents(first) == [alone] and first.err.count("3.npy") == 1


def test_jobs_sample_what_one_judges_later(models, folder, tmp_path, capsys):  # noqa: F811
    """Two systems, MultiModality included; the last of three jobs has the fewest batches."""
    asked = ("--generator", str(models / "first"), "--against", str(models / "second"), "--set", "steps=2")
    asked = (*asked, "--set", "batch=16", "--set", "multimodality=2")
    assert _eval(models, folder, "generation", *asked, "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    jobs = [str(tmp_path / f"job-{number}") for number in (1, 2, 3)]
    for number, job in enumerate(jobs, 1):
        assert _eval(models, folder, "generation", *asked, "--shard", f"{number}/3", "--out", job) == 0
    from motionrft_cli.main import run

    assert run(["merge", *jobs[:2], "--json"]) == 2
    capsys.readouterr()
    assert run(["merge", *jobs, "--json", "--device", "cpu", "--out", str(tmp_path / "all")]) == 0
    assert json.loads(capsys.readouterr().out) == alone
    assert (tmp_path / "all" / "report.html").is_file()
    assert _eval(models, folder, "retrieval", "--shard", "1/2", "--out", str(tmp_path / "no")) == 2
