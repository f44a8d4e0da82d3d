"""prefer and eval events, from nothing to a table."""

import json
from pathlib import Path

SMALL = ("--set", "kinds={integrity: 2, temporal: 2, frequency: 2}", "--set", "steps=2", "--candidates", "2")


def test_prefer_goes_on_where_it_was_and_asks_nothing_twice(run, tmp_path: Path) -> None:
    out = tmp_path / "prefer"
    first = run("prefer", *SMALL, "--out", str(out), "--json")
    assert first.code == 0, first.err
    told = json.loads(first.out)
    assert (told["prompts"], told["asked"]) == (6, 12)
    assert set(told["judged"]) == {"integrity", "temporal", "frequency"}
    whole = (out / "judgements.jsonl").read_text()
    lines = whole.splitlines(keepends=True)
    (out / "judgements.jsonl").write_text("".join(lines[:-2]) + lines[-2][:40])  # killed while it wrote
    (out / "pairs.jsonl").unlink()
    again = run("prefer", *SMALL, "--out", str(out), "--resume", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["asked"] == 2
    keys = [
        [json.loads(line)["key"] for line in text.splitlines()]
        for text in (whole, (out / "judgements.jsonl").read_text())
    ]
    assert keys[0] == keys[1] and (out / "pairs.jsonl").exists()


def test_a_stage_that_lacks_the_one_before_says_so(run, tmp_path: Path) -> None:
    result = run("prefer", *SMALL, "--stage", "judge", "--out", str(tmp_path / "prefer"))
    assert result.code == 2 and "--stage prompts" in result.err


def test_a_dry_run_tells_what_a_judge_would_cost(run) -> None:
    result = run(
        "prefer",
        "--judge",
        "endpoint",
        "--dry-run",
        "--json",
        "--set",
        "judge.price_in=2",
        "--set",
        "judge.price_out=8",
    )
    told = json.loads(result.out)
    assert told["motions"] == 120 * 8 and told["calls"] == told["motions"] + 2 * 3 * 30  # those of validation
    assert told["prompt_calls"] == 0 and told["price"] > 0


def test_eval_events_shows_each_kind(run, tmp_path: Path) -> None:
    kinds = "events.kinds={integrity: 2, temporal: 2, frequency: 2}"
    result = run("eval", "events", "--set", kinds, "--steps", "2", "--repeats", "2", "--json")
    assert result.code == 0, result.err
    metrics = json.loads(result.out)["metrics"]
    assert {"events/mean", "events/integrity", "events/temporal", "events/frequency"} <= set(metrics)
    assert all(len(values) == 2 for values in metrics.values())
