"""Events as swings: the turning points of a few angles and distances. For checking what was tuned by `detection`.

Written apart from those rules and sharing no quantity with them: angles of the arms instead of heights of the hands,
strides of the legs instead of the speed of the pelvis, how far the hips turn in all instead of how fast, the head's
height over the pelvis instead of the trunk's lean. Sizes were set on the training clips of the built-in models.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from motionrft.preferences.detection import Interval, check_joints_of_people

SEEN = (
    "raise-left-hand",
    "raise-right-hand",
    "raise-both-hands",
    "walk",
    "run",
    "turn-left",
    "turn-right",
    "bow",
)
"""Events that swings tell; jumps, kicks and punches are none."""
_PELVIS, _LEFT_HIP, _RIGHT_HIP, _LEFT_ANKLE, _RIGHT_ANKLE, _HEAD = 0, 1, 2, 7, 8, 15
_ARMS = ((16, 18, 20), (17, 19, 21))
"""Shoulder, elbow, wrist."""
_ARM_SWING, _ARM_UP, _TOGETHER = 40.0, 100.0, 0.5
"""degrees, degrees, share: an arm rises and falls by so much, so high; two do so together that share so much time."""
_TURN, _TURNS_BACK = 50.0, 20.0
"""degrees: hips turn so far in one direction, in which turns back by less than the second do not count."""
_NOD = 0.13
"""share of its height over the pelvis that the head loses."""
_STRIDE, _SLOWEST, _STEPS = 0.22, 1.2, 2
"""m, s: one foot passes the other by so much, in so long at most; and fewest such steps of a gait."""
_RUN_STEP, _RUN_SPEED = 0.42, 1.8
"""s, m/s: whose steps are shorter, or who comes farther along in a second, runs."""


def detect_swings(joints: np.ndarray, fps: float) -> dict[str, list[Interval]]:
    """Every event of `SEEN` with its intervals in time order.

    Args:
        joints: (T, 22, 3) metres, Y up. fps: frames a second.

    Raises:
        UserError: not 22 joints, or fewer than two frames.
    """
    check_joints_of_people(joints)
    body = joints.astype(np.float64)
    across = body[:, _LEFT_HIP] - body[:, _RIGHT_HIP]  # (T, 3) to the left
    heading = np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))  # (T,) radians, 0 faces +Z, left is positive
    return {
        **_arms(body, fps),
        **_strides(body, heading, fps),
        **_turned(np.degrees(_mean_over(heading, 0.5, fps))),
        "bow": _nods(body, fps),
    }


def turning_points(signal: np.ndarray, least: float) -> list[int]:
    """Places where a signal (T,) turns, highest and lowest by turns; between neighbours it changes by `least` or more."""
    points: list[int] = []
    top = bottom = way = 0
    for t, value in enumerate(signal):
        top = t if value > signal[top] else top
        bottom = t if value < signal[bottom] else bottom
        if way >= 0 and signal[top] - value >= least:
            points.append(top)
            bottom, way = t, -1
        elif way <= 0 and value - signal[bottom] >= least:
            points.append(bottom)
            top, way = t, 1
    return [*points, top if way > 0 else bottom] if way else []


def _summits(signal: np.ndarray, least: float, lowest: float) -> list[Interval]:
    """Around every highest point that is above `lowest`: the frames that are less than half of `least` below it."""
    points = turning_points(signal, least)
    found = []
    for number, t in enumerate(points):
        around = [signal[p] for p in points[max(number - 1, 0) : number + 2] if p != t]
        if signal[t] > max(around) and signal[t] >= lowest:
            start = points[number - 1] if number else 0
            end = points[number + 1] if number + 1 < len(points) else len(signal) - 1
            near = np.flatnonzero(signal[start : end + 1] > signal[t] - least / 2) + start
            found.append((int(near[0]), int(near[-1]) + 1))
    return found


def _arms(body: np.ndarray, fps: float) -> dict[str, list[Interval]]:
    """An arm's angle is the mean of those of the whole arm and of the forearm from straight down."""
    left, right = (
        _summits(_mean_over(_arm_angle(body, arm), 0.25, fps), _ARM_SWING, _ARM_UP) for arm in _ARMS
    )
    pairs = [(a, b) for a in left for b in right if _shared(a, b) >= _TOGETHER]
    return {
        "raise-left-hand": [each for each in left if each not in {a for a, _ in pairs}],
        "raise-right-hand": [each for each in right if each not in {b for _, b in pairs}],
        "raise-both-hands": [(min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs],
    }


def _arm_angle(body: np.ndarray, arm: Sequence[int]) -> np.ndarray:
    """(T,) degrees: 0 hangs, 180 points up."""
    shoulder, elbow, wrist = (body[:, joint] for joint in arm)
    angles = []
    for part in (wrist - shoulder, wrist - elbow):  # (T, 3)
        length = np.maximum(np.linalg.norm(part, axis=-1), 1e-6)
        angles.append(np.degrees(np.arccos(np.clip(-part[:, 1] / length, -1, 1))))
    return np.mean(angles, axis=0)


def _shared(one: Interval, other: Interval) -> float:
    both = min(one[1], other[1]) - max(one[0], other[0])
    return both / (max(one[1], other[1]) - min(one[0], other[0]))


def _strides(body: np.ndarray, heading: np.ndarray, fps: float) -> dict[str, list[Interval]]:
    """Feet that pass each other, there and back; short steps, or long ones at speed, are running."""
    forward = np.stack([np.sin(heading), np.cos(heading)], axis=1)  # (T, 2)
    apart = ((body[:, _LEFT_ANKLE] - body[:, _RIGHT_ANKLE])[:, [0, 2]] * forward).sum(1)  # (T,) m
    points = turning_points(_mean_over(apart, 0.15, fps), _STRIDE)
    steps = [(a, b) for a, b in pairwise(points) if b - a <= _SLOWEST * fps]
    found: dict[str, list[Interval]] = {"walk": [], "run": []}
    gaits: list[tuple[str, list[Interval]]] = []
    for step in steps:
        name = _gait(body, step, fps)
        if gaits and gaits[-1][0] == name and gaits[-1][1][-1][1] == step[0]:
            gaits[-1][1].append(step)
        else:
            gaits.append((name, [step]))
    for name, made in gaits:
        if len(made) >= _STEPS:
            found[name].append((made[0][0], made[-1][1]))
    return found


def _gait(body: np.ndarray, step: Interval, fps: float) -> str:
    ground = body[:, _PELVIS][:, [0, 2]]
    seconds = (step[1] - step[0]) / fps
    speed = float(np.linalg.norm(ground[step[1]] - ground[step[0]])) / seconds
    return "run" if seconds < _RUN_STEP or speed > _RUN_SPEED else "walk"


def _turned(heading: np.ndarray) -> dict[str, list[Interval]]:
    """heading: (T,) degrees."""
    points = turning_points(heading, _TURNS_BACK)
    found: dict[str, list[Interval]] = {"turn-left": [], "turn-right": []}
    for a, b in pairwise(points):
        change = heading[b] - heading[a]
        if abs(change) >= _TURN:
            tenth = np.flatnonzero(np.abs(heading[a : b + 1] - heading[a]) > abs(change) / 10)
            found["turn-left" if change > 0 else "turn-right"].append((int(tenth[0]) + a, b + 1))
    return found


def _nods(body: np.ndarray, fps: float) -> list[Interval]:
    height = _mean_over(body[:, _HEAD, 1] - body[:, _PELVIS, 1], 0.25, fps)  # (T,) m
    lost = 1 - height / height.max()
    return _summits(lost, _NOD, _NOD)


def _mean_over(signal: np.ndarray, seconds: float, fps: float) -> np.ndarray:
    """(T,) moving mean, ends repeated."""
    width = max(1, round(seconds * fps)) | 1
    padded = np.pad(signal, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")
