"""The second set of rules sees what a stick person does, and nothing else; and so with what travels along."""

from statistics import fmean

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.preferences.detection import detect
from motionrft.preferences.judges.base import Item
from motionrft.preferences.judges.rules import second_rules
from motionrft.preferences.prompts import EventPrompt
from motionrft.preferences.recorded_clips import recorded_clips
from motionrft.preferences.swings import SEEN, detect_swings, turning_points
from motionrft.preferences.validation import known_motions
from motionrft.representations.resample import resample
from motionrft.reward.events import EVENTS
from tests.preferences.acting import after, bow, raise_hand, stand, turn


def stride(frames: int, speed: float, seconds: float) -> np.ndarray:
    """Forward, along +Z, the feet passing each other every so many seconds."""
    joints = stand(frames)
    time = np.arange(frames) / 20
    joints[:, :, 2] += (speed * time)[:, None]
    for ankle, side in ((7, 1.0), (8, -1.0)):
        joints[:, ankle, 2] += side * 0.25 * np.cos(np.pi * time / seconds)
    return joints


ACTS = {
    "raise-left-hand": raise_hand("left"),
    "raise-right-hand": raise_hand("right"),
    "raise-both-hands": raise_hand("both"),
    "walk": stride(60, 1.1, 0.55),
    "run": stride(60, 3.0, 0.35),
    "turn-left": turn(np.pi / 2),
    "turn-right": turn(-np.pi / 2),
    "bow": bow(),
}


def seen(joints: np.ndarray, fps: float = 20.0) -> dict[str, int]:
    return {event: len(intervals) for event, intervals in detect_swings(joints, fps).items() if intervals}


@pytest.mark.parametrize("event", SEEN)
def test_what_is_done_is_seen_alone(event: str) -> None:
    assert seen(ACTS[event]) == {event: 1}


def test_nothing_is_seen_of_who_stands_or_turns_a_little() -> None:
    assert seen(stand(60)) == {} and seen(turn(np.radians(40))) == {}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("event", ["raise-right-hand", "raise-both-hands", "bow"])
def test_repetitions_are_counted(event: str, times: int) -> None:
    assert seen(after(*[ACTS[event]] * times)) == {event: times}


def test_events_are_seen_in_their_order() -> None:
    found = detect_swings(after(bow(), ACTS["walk"], raise_hand("left")), 20.0)
    first = [found[event][0][0] for event in ("bow", "walk", "raise-left-hand")]
    assert first == sorted(first)


def test_rate_place_and_floor_do_not_matter() -> None:
    joints = after(bow(), raise_hand("both"))
    faster = resample(torch.from_numpy(joints), "joints", 20.0, 60.0).numpy()
    assert seen(faster, 60.0) == seen(joints) == seen(joints + np.array([5.0, -0.4, 2.0]))


def test_a_signal_turns_where_it_is_highest_and_lowest() -> None:
    signal = np.array([0.0, 1, 5, 4, 5, 2, 0, 3, 2, 6])
    assert turning_points(signal, 2.5) == [0, 2, 6, 9]
    assert turning_points(signal, 7.0) == [] and turning_points(np.zeros(4), 1.0) == []


def test_it_says_what_it_does_not_see() -> None:
    item = Item(EventPrompt("a", "integrity", "a person kicks", ("kick",), 2.0), 0, stand(40), 20.0)
    with pytest.raises(UserError, match="judge swings does not see 'kick'; it sees raise-left-hand"):
        list(second_rules().judge([item]))


def test_both_sets_of_rules_know_what_travels_with_the_package() -> None:
    clips, fps, _ = recorded_clips()
    assert set(clips) == set(SEEN) <= set(EVENTS) and fps == 20.0
    known = [each.right for each in known_motions(clips, fps, 10, 3)]
    for detector, least in ((detect_swings, 0.9), (detect, 0.75)):
        judge = second_rules()
        judge.detector = detector
        assert fmean(float(answer.score or 0) for _, answer in judge.judge(known)) > least
