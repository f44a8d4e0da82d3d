"""Pairs: best against worst, with a margin, balanced by kind, in both layouts."""

import json
from pathlib import Path

import numpy as np

from motionrft.files import read_motions
from motionrft.preferences.candidates import Candidates
from motionrft.preferences.pairs import Pair, balanced, pairs_of, write_pairs
from motionrft.preferences.prompts import EventPrompt
from tests.preferences.acting import stand

PROMPT = EventPrompt("temporal-0000", "temporal", "a person bows, then walks", ("bow", "walk"), 4.0)


def test_the_best_meets_the_worst_and_so_on() -> None:
    pairs = pairs_of(PROMPT, {0: 0.5, 1: 1.0, 2: 0.0, 3: 0.75})
    assert [(p.better, p.worse, p.margin) for p in pairs] == [(1, 2, 1.0), (3, 0, 0.25)]
    assert [p.degree for p in pairs] == ["Much better", "Negligibly better/unsure"]


def test_equal_scores_and_small_margins_are_no_pair() -> None:
    assert pairs_of(PROMPT, {0: 0.5, 1: 0.5}, margin=0.0) == []
    assert pairs_of(PROMPT, {0: 0.5, 1: 0.6}) == []


def test_no_kind_has_more_pairs_than_another() -> None:
    other = EventPrompt("frequency-0000", "frequency", "a person bows twice", ("bow",), 4.0, 2)
    pairs = [Pair(PROMPT, 0, 1, margin) for margin in (0.3, 0.9, 0.5)] + [Pair(other, 0, 1, 0.4)]
    assert [(p.prompt.kind, p.margin) for p in balanced(pairs)] == [("temporal", 0.9), ("frequency", 0.4)]


def test_both_files_name_motions_that_can_be_read(tmp_path: Path) -> None:
    joints = np.stack([stand(30), stand(30) + 0.1]).astype(np.float32)
    held = Candidates(
        joints,
        joints,
        np.array([7, 8], dtype=np.uint64),
        "joints",
        30.0,
        np.array([30, 30]),
        np.ones(2, dtype=bool),
    )
    write_pairs(tmp_path, "pairs", [Pair(PROMPT, 1, 0, 0.6)], {PROMPT.id: held}, "rules")
    line = json.loads((tmp_path / "pairs.jsonl").read_text())
    assert (line["prompt"], line["kind"], line["judge"]) == (PROMPT.text, "temporal", "rules")
    motion = read_motions(tmp_path / line["better"])[0]
    assert motion.fps == 30.0 and np.allclose(motion.array, joints[1])
    label = json.loads((tmp_path / "pairs_labels.jsonl").read_text())
    assert label["sample_1"]["seed"] == 8
    assert label["chosen"] == [{"choice": "sample_1", "degree of preference": "Better", "user": "rules"}]
