"""People as a judge: what they vote on the page becomes pairs."""

import json
from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.preferences.candidates import Candidates
from motionrft.preferences.people import Meeting, meetings, pairs_voted, write_page
from motionrft.preferences.prompts import EventPrompt
from tests.preferences.acting import bow, stand, walk

PROMPTS = [
    EventPrompt(f"temporal-{n}", "temporal", f"bows, then walks {n}", ("bow", "walk"), 2.0) for n in range(3)
]


def held() -> Candidates:
    joints = np.stack([bow(), stand(40), walk(40), stand(40)]).astype(np.float32)
    return Candidates(
        joints, joints, np.arange(4), "joints", 20.0, np.array([40, 30, 40, 40]), np.ones(4, bool)
    )


def page(out: Path) -> list[Meeting]:
    shown = meetings(PROMPTS, {prompt.id: [0, 1, 2, 3] for prompt in PROMPTS}, per_prompt=2)
    write_page(out, shown, {prompt.id: held() for prompt in PROMPTS}, seed=3)
    (out / "ratings").mkdir()
    return shown


def rate(out: Path, rater: str, prefers: dict[int, int]) -> None:
    """A rater's file: of each meeting the first (0) or the second (1)."""
    key = json.loads((out / "study.key.json").read_text())
    answers = []
    for pair, place in key["pairs"].items():
        first_is_left = key["left"][pair] == "first"
        side = "left" if (prefers[place] == 0) == first_is_left else "right"
        answers.append({"pair": pair, **dict.fromkeys(("adherence", "realism", "coherence"), side)})
    (out / "ratings" / f"{rater}.json").write_text(
        json.dumps({"study": key["study"], "rater": rater, "answers": answers})
    )


def test_no_candidate_meets_twice_and_unusable_ones_never() -> None:
    found = meetings(PROMPTS, {"temporal-0": [0, 2, 3], "temporal-1": [1]}, per_prompt=3)
    assert [(each.prompt.id, each.first, each.second) for each in found] == [("temporal-0", 0, 2)]


def test_votes_become_pairs_on_whichever_side_they_were_shown(tmp_path: Path) -> None:
    shown = page(tmp_path)
    prefers = {place: place % 2 for place in range(len(shown))}
    rate(tmp_path, "anna", prefers)
    rate(tmp_path, "ben", prefers | {0: 1})
    found = pairs_voted(tmp_path, shown, margin=0.2)
    assert [(p.prompt.id, p.better, p.worse, p.margin) for p in found][:2] == [
        ("temporal-0", 3, 2, 1.0),
        ("temporal-1", 0, 1, 1.0),
    ]
    assert len(found) == len(shown) - 1, "where two disagree there is no pair"


def test_without_ratings_it_says_what_to_do(tmp_path: Path) -> None:
    shown = page(tmp_path)
    with pytest.raises(UserError, match=r"no ratings yet.*--stage pairs"):
        pairs_voted(tmp_path, shown, 0.2)
