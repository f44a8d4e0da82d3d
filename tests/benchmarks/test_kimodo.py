"""The tables of the Kimodo benchmark, from made-up runs."""

from pathlib import Path

import pytest

from tests.benchmarks.kimodo import STEPS, TOLD, WITHOUT, draw, summary, table

BLOCKS = {"positions_mm": 10.0, "velocities_mm_s": 200.0}


def run(gain: float) -> dict:
    metrics = {"reward/semantic": [1.0, 1.2], "fid": [0.5, 0.5]}
    after = {"reward/semantic": [1.0 + gain, 1.2 + gain], "fid": [0.5, 0.5]}
    return {
        "updates": 5,
        "seconds": 2.0,
        "graph_bytes": 2**20,
        "before": metrics,
        "after": after,
        "blocks": BLOCKS,
        "curve": [10.0, 12.0 + 10 * gain],
    }


def test_a_gain_is_the_mean_over_training_seeds_with_its_interval() -> None:
    found = summary({"easytune": [run(0.1), run(0.2), run(0.3)]})["easytune"]
    start, mean, low, high = found["gains"]["reward/semantic"]
    assert (start, mean) == pytest.approx((1.1, 0.2)) and low == pytest.approx(0.2 - 0.2484, abs=1e-3)
    assert found["gains"]["fid"] == pytest.approx([0.5, 0, 0, 0]) and "jitter" not in found["gains"]
    assert found["blocks"] == BLOCKS and found["seeds"] == 3 and high > mean


def test_the_table_shows_all_that_was_measured() -> None:
    tuning = {
        "runs": summary({"easytune": [run(0.1), run(0.3)]}),
        "before": {"blocks": BLOCKS, "curve": [9, 9]},
    }
    held = {"easytune": {str(steps): 3 * 2**20 for steps in STEPS}}
    shown = table({"tuning": tuning, "bytes": held, "text": {"one layer": 416.0}})
    assert "| easytune | 2 | 1.100 +0.200 ±" in shown and "| untuned | 10 | 200 |" in shown
    assert "| easytune | 3.0 | 3.0 | 3.0 |" in shown and "416.0" in shown


def test_blocks_are_compared_seed_by_seed_with_the_run_without_the_term() -> None:
    drifted = [run(0.1) | {"blocks": {"positions_mm": mm}} for mm in (12.0, 13.0, 14.0)]
    kept = [run(0.1) | {"blocks": {"positions_mm": mm}} for mm in (10.0, 11.5, 11.5)]
    _, mean, low, high = summary({TOLD: kept, WITHOUT: drifted})[TOLD]["gains"][
        "positions_mm against without"
    ]
    assert mean == pytest.approx(-2) and low < mean < high < 0


def test_the_figure_has_a_line_a_run(tmp_path: Path) -> None:
    runs = summary({TOLD: [run(0.1), run(0.3)], WITHOUT: [run(0.2)], "sft": [run(0.2)]})
    assert runs[TOLD]["curve"] == [10, 14]
    draw({"runs": runs, "before": {"curve": [9.0, 9.5]}}, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text.count("<path class=") == 3 and "tuned, without" in text and "untuned" in text
