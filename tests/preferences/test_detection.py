"""The rules see what a stick person does, and nothing else."""

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.preferences.detection import detect
from motionrft.representations.resample import resample
from tests.preferences.acting import after, bow, raise_hand, stand, turn, walk

ACTS = {
    "raise-left-hand": raise_hand("left"),
    "raise-right-hand": raise_hand("right"),
    "raise-both-hands": raise_hand("both"),
    "walk": walk(),
    "run": walk(30, 3.0),
    "turn-left": turn(np.pi / 2),
    "turn-right": turn(-np.pi / 2),
    "bow": bow(),
}


def seen(joints: np.ndarray, fps: float = 20.0) -> dict[str, int]:
    return {event: len(intervals) for event, intervals in detect(joints, fps).items() if intervals}


@pytest.mark.parametrize("event", ACTS)
def test_what_is_done_is_seen_alone(event: str) -> None:
    assert seen(ACTS[event]) == {event: 1}


def test_nothing_is_seen_of_who_stands_still() -> None:
    assert seen(stand(60)) == {}


def test_events_are_seen_in_their_order() -> None:
    found = detect(after(bow(), walk(), raise_hand("left")), 20.0)
    first = [found[event][0][0] for event in ("bow", "walk", "raise-left-hand")]
    assert first == sorted(first)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_repetitions_are_counted(times: int) -> None:
    assert seen(after(*[raise_hand("right")] * times)) == {"raise-right-hand": times}


def test_the_frame_rate_does_not_matter() -> None:
    import torch

    joints = after(bow(), raise_hand("both"))
    faster = resample(torch.from_numpy(joints), "joints", 20.0, 60.0).numpy()
    assert seen(faster, 60.0) == seen(joints)


def test_where_the_floor_and_the_origin_are_does_not_matter() -> None:
    joints = after(walk(), bow())
    assert seen(joints + np.array([5.0, -0.4, 2.0])) == seen(joints)


def lying() -> np.ndarray:
    joints = after(*[stand(20)] * 3)
    return np.stack([joints[..., 0], 0.1 + 0 * joints[..., 1], joints[..., 1]], axis=-1)


@pytest.mark.parametrize(
    "joints", [np.zeros((40, 22, 3)), np.full((40, 22, 3), np.nan), lying()], ids=["point", "nan", "lying"]
)
def test_what_is_no_upright_body_does_nothing(joints: np.ndarray) -> None:
    assert seen(joints) == {}


@pytest.mark.parametrize("fps", [1.0, 12.5, 1000.0])
@pytest.mark.parametrize("frames", [2, 3, 40])
def test_any_legal_rate_and_length_is_read(fps: float, frames: int) -> None:
    assert set(detect(walk()[:frames].repeat(2, 0)[:frames], fps)) >= {"walk", "kick", "punch", "bow"}


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(T, 22, 3\)"):
        detect(np.zeros((10, 21, 3)), 20.0)
