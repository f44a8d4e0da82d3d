"""A judge is held against motions whose truth is known, and refused where it does not know them."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.judges.rules import RuleJudge
from motionrft.preferences.preset import PreferPreset
from motionrft.preferences.run import Preferring
from motionrft.preferences.validation import check_believed, figures, known_motions, real_clips
from motionrft.reward.events import SHOWN
from tests.preferences.acting import bow, raise_hand, turn, walk

ACTS = {
    "raise-up-left-hand": raise_hand("left"),
    "raise-up-right-hand": raise_hand("right"),
    "raise-up-both-hands": raise_hand("both"),
    "walk": walk(90),
    "walk-turn-left": turn(np.pi / 2),
    "bow": bow(),
    "sit": walk(),
}


def acted_data(folder: Path) -> Path:
    """A data set of what the stick person does, one clip a kind."""
    for name in ("new_joints", "texts"):
        (folder / name).mkdir()
    for kind, joints in ACTS.items():
        np.save(folder / "new_joints" / f"{kind}.npy", joints.astype(np.float32))
        (folder / "texts" / f"{kind}.txt").write_text("a person moves#a/DET person/NOUN move/VERB#0.0#0.0\n")
    (folder / "test.txt").write_text("".join(f"{kind}\n" for kind in ACTS))
    with open(folder / "index.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [("clip_id", "content", "style"), *((kind, kind, "plain") for kind in ACTS)]
        )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return acted_data(tmp_path_factory.mktemp("acted"))


class Agreeable(Judge):
    """Says yes to everything."""

    name = identity = "agreeable"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        yield from ((place, Judgement(1.0)) for place in range(len(items)))


def test_clips_are_known_by_their_kind_and_cut_where_a_part_will_do(data: Path) -> None:
    clips = real_clips(MotionDataset(data, "test"), SHOWN)
    assert set(clips) == {SHOWN[kind].event for kind in ACTS if kind != "sit"}
    assert len(clips["walk"][0][1]) == 72 and clips["bow"][0][1].shape == (40, 22, 3)


def test_a_motion_is_shown_with_what_it_does_and_with_what_it_does_not(data: Path) -> None:
    clips = real_clips(MotionDataset(data, "test"), SHOWN)
    for each in known_motions(clips, 20.0, 12, seed=1):
        right, wrong = each.right.prompt, each.wrong.prompt
        assert each.right.joints is each.wrong.joints
        if right.kind == "integrity":
            assert not set(right.events) & set(wrong.events) and len(wrong.events) >= 2
        elif right.kind == "temporal":
            assert wrong.events == right.events[::-1]
        else:
            assert wrong.events == right.events and wrong.count != right.count


def test_the_rules_know_what_was_joined(data: Path) -> None:
    known = known_motions(real_clips(MotionDataset(data, "test"), SHOWN), 20.0, 10, seed=2)
    answers = dict(RuleJudge().judge([each.right for each in known]))
    assert np.mean([answers[place].score for place in range(len(known))]) > 0.9


def test_figures_tell_right_from_wrong_and_count_a_tie_half() -> None:
    found = figures([(1.0, 0.5), (0.5, 0.5)])
    assert (found.right, found.wrong, found.apart, found.motions) == (0.75, 0.5, 0.75, 2)
    assert found.believed and not figures([(0.5, 0.0)]).believed and not figures([(1.0, 1.0)]).believed


def test_who_says_yes_to_everything_is_not_believed() -> None:
    with pytest.raises(UserError, match=r"not believed: temporal .* told apart 0.50"):
        check_believed(Agreeable(), {"temporal": figures([(1.0, 1.0)])})


def test_figures_are_kept_with_the_pairs_and_nothing_is_asked_twice(data: Path, tmp_path: Path) -> None:
    preset = PreferPreset.of({"judge": {"data": str(data), "checks": 4}})
    asked: list[int] = []
    run = Preferring(preset, tmp_path, torch.device("cpu"), lambda stage, more, whole: asked.append(more))
    told = run.run(["validate"])["validated"]
    kept = json.loads((tmp_path / "judge.json").read_text())
    assert kept["figures"] == told and kept["identity"] == RuleJudge().identity
    assert told["integrity"]["motions"] == 4 and asked == [0] + [1] * 24
    asked.clear()
    assert run.run(["validate"])["validated"] == told and asked == [24]


def test_a_data_set_that_shows_too_little_is_refused(data: Path) -> None:
    with pytest.raises(UserError, match="4 events are needed"):
        real_clips(MotionDataset(data, "test"), {"bow": SHOWN["bow"], "walk": SHOWN["walk"]})


def test_an_event_that_nobody_knows_is_refused_in_the_settings() -> None:
    with pytest.raises(UserError, match=r"judge\.shows: no event is called 'dives'"):
        PreferPreset.of({"judge": {"shows": {"dive": "dives"}}})
