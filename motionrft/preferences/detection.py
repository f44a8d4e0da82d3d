"""Events as intervals of frames, read off the joints by rules: no network, the same answer every time.

Thresholds were set on recorded clips: hands, gaits and turns after a published trial's figures, bows, jumps, kicks and
punches on the captures that the built-in models are trained on. They are of adults in metres, Y up.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from motionrft.errors import UserError

Interval = tuple[int, int]
"""First frame, and one after the last."""

PELVIS, NECK, HEAD = 0, 12, 15
_ANKLES, _TOES, _SHOULDERS, _WRISTS = [7, 8], [10, 11], [16, 17], [20, 21]
_LEFT_HIP, _RIGHT_HIP = 1, 2
_BELOW_HEAD = 0.15
"""m: a raised wrist comes at least this near to the head's height."""
_HOLE, _SHORTEST = 0.3, 0.15
"""s: shorter holes are closed, shorter intervals dropped."""
_WALK, _RUN = 0.45, 2.1
"""m/s: the speed at which walking begins, and running."""
_TURN_RATE, _TURN = 0.5, np.radians(50.0)
_LEAN = np.radians(27.0)
_KICK_HEIGHT, _KICK_REACH, _STANDING = 0.3, 0.3, 0.25
"""m: a kicking ankle comes this high and this far in front of the pelvis, while the other is below that."""
_PUNCH_SPEED, _PUNCH_REACH = 1.8, 0.42
_JUMP = 0.1
"""m: the lowest foot and the pelvis both come this far above where they stand."""


def detect(joints: np.ndarray, fps: float) -> dict[str, list[Interval]]:
    """Every event of `events.EVENTS` with its intervals in time order.

    Args:
        joints: (T, 22, 3) metres, Y up. fps: frames a second.

    Raises:
        UserError: not 22 joints, or fewer than two frames.
    """
    if joints.ndim != 3 or joints.shape[1:] != (22, 3) or len(joints) < 2:
        raise UserError(
            f"joints of shape {joints.shape}: events are read off (T, 22, 3), two frames at least."
        )
    body = _Body(joints.astype(np.float64), fps)
    found = {**_hands(body), **_gaits(body), **_turns(body)}
    found |= {name: rule(body) for name, rule in _RULES.items()}
    return found


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
    """While any hand is up, it is the hand that is up for most of the time, or both."""
    up = body.joints[:, _WRISTS, 1] > body.joints[:, [HEAD], 1] - _BELOW_HEAD  # (T, 2)
    found: dict[str, list[Interval]] = {
        f"raise-{side}": [] for side in ("left-hand", "right-hand", "both-hands")
    }
    for start, end in body.intervals(up.any(1)):
        left, right = up[start:end].mean(0)
        both = min(left, right) > 0.5 * max(left, right)
        side = "both-hands" if both else "left-hand" if left > right else "right-hand"
        found[f"raise-{side}"].append((start, end))
    return found


def _gaits(body: _Body) -> dict[str, list[Interval]]:
    walking = (body.speed >= _WALK) & (body.speed < _RUN)
    return {
        "walk": body.intervals(walking, shortest=0.6),
        "run": body.intervals(body.speed >= _RUN, shortest=0.4),
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
    """The trunk leans forward, standing; a runner leans too."""
    trunk = body.joints[:, NECK] - body.joints[:, PELVIS]  # (T, 3)
    lean = np.arctan2(np.hypot(trunk[:, 0], trunk[:, 2]), trunk[:, 1])
    standing = body.joints[:, PELVIS, 1] - body.floor > 0.55
    return body.intervals(
        (_smooth(lean, 0.25, body.fps) > _LEAN) & (body.speed < 0.8) & standing, shortest=0.3
    )


def _jumps(body: _Body) -> list[Interval]:
    """Both feet leave the floor and the pelvis rises, more up than along."""
    feet = body.joints[:, [*_ANKLES, *_TOES], 1].min(1)
    standing = np.percentile(feet, 20), np.median(body.joints[:, PELVIS, 1])
    high = (feet > standing[0] + _JUMP) & (body.joints[:, PELVIS, 1] > standing[1] + _JUMP / 2)
    return body.intervals(high & (body.speed < 1.9), shortest=0.1, hole=0.1)


def _kicks(body: _Body) -> list[Interval]:
    """A foot comes up in front while the other stands."""
    ankles = body.joints[:, _ANKLES]  # (T, 2, 3)
    away = (ankles - body.joints[:, [PELVIS]])[..., [0, 2]]
    ahead = away[..., 0] * np.sin(body.yaw)[:, None] + away[..., 1] * np.cos(body.yaw)[:, None]
    height = ankles[..., 1] - body.floor
    kicking = (height > _KICK_HEIGHT) & (ahead > _KICK_REACH) & (height[:, ::-1] < _STANDING)
    return body.intervals(kicking.any(1) & (body.speed < _RUN), shortest=0.1, hole=0.4)


def _punches(body: _Body) -> list[Interval]:
    """A fist goes out from the shoulder, fast and level, to the length of the arm; a raised hand passes there too."""
    arm = body.joints[:, _WRISTS] - body.joints[:, _SHOULDERS]  # (T, 2, 3)
    reach = np.hypot(arm[..., 0], arm[..., 2])
    out, up = (np.gradient(value, 1 / body.fps, axis=0) for value in (reach, arm[..., 1]))
    struck = (out > _PUNCH_SPEED) & (np.abs(up) < out)
    recent = _smooth(struck.astype(float), 0.3, body.fps) > 0
    level = np.abs(arm[..., 1]) < 0.28
    return body.intervals(((reach > _PUNCH_REACH) & level & recent).any(1), shortest=0.05, hole=0.15)


_RULES: dict[str, Callable[[_Body], list[Interval]]] = {
    "bow": _bows,
    "jump": _jumps,
    "kick": _kicks,
    "punch": _punches,
}
