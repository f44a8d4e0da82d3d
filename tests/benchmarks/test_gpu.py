"""`make gpu` runs without a GPU too, tiny: every section gives rows, and a failing one costs no other."""

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.gpu import Record, run


def test_the_prepared_command_runs_tiny_on_a_processor(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.gpu",
        "--device",
        "cpu",
        "--tiny",
        "--out",
        str(tmp_path),
    ]
    sections = "environment,optimisations,steps,product,sampling,precision"
    subprocess.run([*command, "--only", sections], check=True, capture_output=True)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert {row["section"] for row in rows} == set(sections.split(","))
    assert not any("error" in row for row in rows)
    assert "no GPU was seen" in (tmp_path / "results.md").read_text()


def test_a_failing_section_is_a_row_and_the_next_one_runs(tmp_path: Path) -> None:
    record = Record(tmp_path, "nothing", budget=60)

    def fails():
        yield {"a": 1}
        raise RuntimeError("no such kernel")

    run(record, "first", fails, needs=0)
    run(record, "second", lambda: iter([{"b": 2}]), needs=0)
    run(record, "third", lambda: iter([{"c": 3}]), needs=1000)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [row["section"] for row in rows] == ["first", "first", "second", "third"]
    assert "no such kernel" in rows[1]["error"] and "left" in rows[3]["left out"]
