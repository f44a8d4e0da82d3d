"""Events as intervals of frames, read off the joints by rules: no network, the same answer every time.

Thresholds were set on the training clips that the built-in models are trained on, and are of adults in metres, Y up;
`motionrft.preferences.validation` says what they are worth on others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from motionrft.errors import UserError

Interval = tuple[int, int]
"""First frame, and one after the last."""

PELVIS, NECK, HEAD = 0, 12, 15
_ANKLES, _TOES, _SHOULDERS, _ELBOWS, _WRISTS = [7, 8], [10, 11], [16, 17], [18, 19], [20, 21]
_LEFT_HIP, _RIGHT_HIP = 1, 2
_UP, _DOWN = -0.15, -0.3
"""m from the head's height: a wrist that comes above the first is raised, until it is below the second."""
_UP_BENT, _FOREARM_UP, _STAYS = -0.27, 0.18, 0.6
"""m, m, s: so is one that stays above the first so long, and the second above its elbow; arms that swing do not stay."""
_UPRIGHT = 0.2
"""m: the head is so far above the pelvis of who raises a hand; of who lies, or has collapsed, all is at one height."""
_HOLE, _SHORTEST = 0.3, 0.15
"""s: shorter holes are closed, shorter intervals dropped."""
_WALK, _RUN = 0.45, 2.1
"""m/s: the speed at which walking begins, and running."""
_SHUFFLE, _FOOT_MOVES, _BOTH_MOVE = 1.2, 0.6, 0.19
"""m/s, m/s, share: a slow run has both feet moving for so much of the time, which a walk has not."""
_TURN_RATE, _TURN = 0.5, np.radians(50.0)
_LEAN, _LEANS_ON, _AROUND, _CROUCH = np.radians(20.0), np.radians(15.0), 2.0, 0.12
"""rad, rad, s, m: a bow leans so far, so much farther than at the most upright moment around it, the pelvis up."""
_KICK_SPEED, _KICK_REACH, _KICK_GAIT = 5.0, 0.45, 2.5
"""m/s, m, m/s: a kicking ankle comes forward so fast, so far in front of the pelvis, of a person no faster than that."""
_PUNCH_REACH, _PUNCH_OUT, _PUNCH_BACK, _PUNCH_LEVEL = 0.42, 0.15, 0.08, 0.3
"""m: how far a fist is from the shoulder, how much farther than before and after, and how far above or below at most."""
_PUNCH_TIME = 0.5
"""s: in which the fist goes out, and comes back."""
_JUMP = 0.1
"""m: the lowest foot and the pelvis both come this far above where they stand."""


def detect(joints: np.ndarray, fps: float) -> dict[str, list[Interval]]:
    """Every event of `events.EVENTS` with its intervals in time order.

    Args:
        joints: (T, 22, 3) metres, Y up. fps: frames a second.

    Raises:
        UserError: not 22 joints, or fewer than two frames.
    """
    check_joints_of_people(joints)
    body = _Body(joints.astype(np.float64), fps)
    found = {**_hands(body), **_gaits(body), **_turns(body)}
    found |= {name: rule(body) for name, rule in _RULES.items()}
    return found


def check_joints_of_people(joints: np.ndarray) -> None:
    """Refuse what events cannot be read off.

    Raises:
        UserError: not (T, 22, 3), or fewer than two frames.
    """
    if joints.ndim != 3 or joints.shape[1:] != (22, 3) or len(joints) < 2:
        raise UserError(
            f"joints of shape {joints.shape}: events are read off (T, 22, 3), two frames at least."
        )


class _Body:
    """A clip with what several rules ask for."""

    def __init__(self, joints: np.ndarray, fps: float):
        self.joints, self.fps = joints, fps
        self.floor = np.percentile(joints[:, _TOES, 1].min(1), 10)
        planar = np.gradient(joints[:, PELVIS][:, [0, 2]], 1 / fps, axis=0)  # (T, 2) m/s
        self.speed = _smooth(np.hypot(planar[:, 0], planar[:, 1]), 0.45, fps)  # (T,)
        left, right = [_LEFT_HIP, _SHOULDERS[0]], [_RIGHT_HIP, _SHOULDERS[1]]
        across = (joints[:, left] - joints[:, right]).sum(1)  # (T, 3) to the left
        self.yaw = np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))  # (T,) radians

    def intervals(self, mask: Any, shortest: float = _SHORTEST, hole: float = _HOLE) -> list[Interval]:
        """Runs of True in (T,), holes closed, short ones dropped."""
        return _intervals(mask, max(1, round(shortest * self.fps)), round(hole * self.fps))


def _smooth(values: np.ndarray, seconds: float, fps: float) -> np.ndarray:
    """Moving average over (T, ...), ends repeated."""
    width = max(1, round(seconds * fps)) | 1
    padded = np.concatenate([values[:1].repeat(width // 2, 0), values, values[-1:].repeat(width // 2, 0)])
    sums = np.cumsum(np.concatenate([np.zeros_like(padded[:1]), padded]), axis=0)
    return (sums[width:] - sums[:-width]) / width


def _intervals(mask: np.ndarray, shortest: int, hole: int) -> list[Interval]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    joined: list[Interval] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if joined and start - joined[-1][1] <= hole:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if end - start >= shortest]


def _hands(body: _Body) -> dict[str, list[Interval]]:
    """Hands that are raised in much the same frames are raised together."""
    left, right = (_raised(body, side) for side in range(2))
    found: dict[str, list[Interval]] = {"raise-left-hand": left, "raise-right-hand": right}
    both: list[Interval] = []
    for one in list(left):
        for other in list(right):
            start, end = max(one[0], other[0]), min(one[1], other[1])
            if end - start > 0.5 * max(one[1] - one[0], other[1] - other[0]):
                both.append((min(one[0], other[0]), max(one[1], other[1])))
                left, right = [i for i in left if i != one], [i for i in right if i != other]
    return found | {"raise-left-hand": left, "raise-right-hand": right, "raise-both-hands": both}


def _raised(body: _Body, side: int) -> list[Interval]:
    """From where a hand comes up to where it is down again; in between it may wave."""
    wrist, elbow = body.joints[:, _WRISTS[side], 1], body.joints[:, _ELBOWS[side], 1]
    height = wrist - body.joints[:, HEAD, 1]  # (T,)
    upright = body.joints[:, HEAD, 1] - body.joints[:, PELVIS, 1] > _UPRIGHT
    held = (height > _UP_BENT) & (wrist - elbow > _FOREARM_UP) & upright
    up = [*body.intervals((height > _UP) & upright), *body.intervals(held, _STAYS, hole=0.0)]
    risen = body.intervals(height > _DOWN, hole=0.0)
    return [(start, end) for start, end in risen if any(start < b and a < end for a, b in up)]


def _gaits(body: _Body) -> dict[str, list[Interval]]:
    running = body.speed >= _RUN
    ankles = np.gradient(body.joints[:, _ANKLES][..., [0, 2]], 1 / body.fps, axis=0)  # (T, 2, 2) m/s
    in_air = (np.linalg.norm(ankles, axis=-1) > _FOOT_MOVES).all(1)
    for start, end in body.intervals(body.speed >= _SHUFFLE):
        running[start:end] |= in_air[start:end].mean() > _BOTH_MOVE
    return {
        "walk": body.intervals((body.speed >= _WALK) & ~running, shortest=0.6),
        "run": body.intervals(running, shortest=0.4),
    }


def _turns(body: _Body) -> dict[str, list[Interval]]:
    """Left is positive: from +Z towards +X, where a person who faces +Z has the left hand."""
    rate = _smooth(np.gradient(body.yaw, 1 / body.fps), 0.45, body.fps)
    found = {}
    for name, sign in (("turn-left", 1.0), ("turn-right", -1.0)):
        runs = body.intervals(sign * rate > _TURN_RATE)
        found[name] = [(a, b) for a, b in runs if sign * rate[a:b].sum() / body.fps >= _TURN]
    return found


def _bows(body: _Body) -> list[Interval]:
    """The trunk leans forward, on straight legs, and farther than just before or after; a runner leans too."""
    trunk = body.joints[:, NECK] - body.joints[:, PELVIS]  # (T, 3)
    lean = _smooth(np.arctan2(np.hypot(trunk[:, 0], trunk[:, 2]), trunk[:, 1]), 0.25, body.fps)
    around = round(_AROUND * body.fps)
    upright = np.array([lean[max(t - around, 0) : t + around + 1].min() for t in range(len(lean))])
    pelvis = body.joints[:, PELVIS, 1]
    standing = (pelvis - body.floor > 0.55) & (pelvis > np.median(pelvis) - _CROUCH)
    bowed = (lean > _LEAN) & (lean - upright > _LEANS_ON) & (body.speed < 0.8) & standing
    return body.intervals(bowed, shortest=0.3)


def _jumps(body: _Body) -> list[Interval]:
    """Both feet leave the floor and the pelvis rises, more up than along."""
    feet = body.joints[:, [*_ANKLES, *_TOES], 1].min(1)
    standing = np.percentile(feet, 20), np.median(body.joints[:, PELVIS, 1])
    high = (feet > standing[0] + _JUMP) & (body.joints[:, PELVIS, 1] > standing[1] + _JUMP / 2)
    return body.intervals(high & (body.speed < 1.9), shortest=0.1, hole=0.1)


def _kicks(body: _Body) -> list[Interval]:
    """A foot is swung forward, far faster than a step, by a person who does not run."""
    away = (body.joints[:, _ANKLES] - body.joints[:, [PELVIS]])[..., [0, 2]]  # (T, 2, 2)
    ahead = away[..., 0] * np.sin(body.yaw)[:, None] + away[..., 1] * np.cos(body.yaw)[:, None]
    swung = np.gradient(ahead, 1 / body.fps, axis=0) > _KICK_SPEED
    soon = max(1, round(0.25 * body.fps))
    reached = np.stack([ahead[t : t + soon].max(0) for t in range(len(ahead))]) > _KICK_REACH
    kicking = (swung & reached).any(1) & (body.speed < _KICK_GAIT)
    return body.intervals(kicking, shortest=0.0, hole=0.4)


def _punches(body: _Body) -> list[Interval]:
    """A fist goes out, level with the shoulder, and comes back; a raised hand passes there too, and does not stop."""
    arm = body.joints[:, _WRISTS] - body.joints[:, _SHOULDERS]  # (T, 2, 3)
    reach = np.linalg.norm(arm, axis=-1)  # (T, 2)
    time = max(1, round(_PUNCH_TIME * body.fps))
    struck = np.zeros(len(arm), dtype=bool)
    for side in range(2):
        for t in range(1, len(arm) - 1):
            before, after = reach[max(t - time, 0) : t, side], reach[t + 1 : t + 1 + time, side]
            summit = reach[t, side] >= max(before.max(), after.max())
            out, back = reach[t, side] - before.min(), reach[t, side] - after.min()
            level = abs(arm[t, side, 1]) < _PUNCH_LEVEL
            if summit and level and reach[t, side] > _PUNCH_REACH and out > _PUNCH_OUT and back > _PUNCH_BACK:
                struck[t] = True
    return body.intervals(struck & (body.speed < _RUN), shortest=0.0, hole=0.1)


_RULES: dict[str, Callable[[_Body], list[Interval]]] = {
    "bow": _bows,
    "jump": _jumps,
    "kick": _kicks,
    "punch": _punches,
}
