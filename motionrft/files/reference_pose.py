"""A reference pose in front of a motion: a row in which the actor stands in a T, put there for other software.

Such a row is no motion: the body jumps from it to the first real frame (in some files over metres). A capture that
begins in a T-pose and moves out of it is a motion, and kept.
"""

from __future__ import annotations

import numpy as np

ROWS_LOOKED_AT = 16
_MOST_ROWS = 10
_JUMP = 0.06
"""Part of the body's height that a joint must jump, seen from the pelvis, for the row before it to be no motion."""
_TIMES = 5.0
"""And by so many times what it moves between the frames that follow."""

_ARMS = ((16, 18, 20), (17, 19, 21))
_LEGS = ((1, 4, 7), (2, 5, 8))


def reference_rows(joints: np.ndarray, at_rest: int = 0) -> int:
    """How many rows in front of (T, 22, 3) hold a reference pose that the motion jumps out of; any axes, any unit.

    Args:
        at_rest: so many first rows are the skeleton's rest pose (all rotations zero), which need not be a T.
    """
    rows = joints[:ROWS_LOOKED_AT]
    steps = _steps(rows)
    for row in range(min(_MOST_ROWS, len(steps) - 2)):
        if not (row < at_rest or is_t_pose(rows[row])):
            return 0
        after = float(np.median(steps[row + 1 : row + 6]))
        if steps[row] > max(_JUMP, _TIMES * after):
            return row + 1
    return 0


def t_pose_rows(joints: np.ndarray) -> int:
    """How many rows in front are in a T-pose, with or without a jump after them."""
    count = 0
    while count < len(joints) - 2 and is_t_pose(joints[count]):
        count += 1
    return count


def is_t_pose(pose: np.ndarray) -> bool:
    """Whether (22, 3) stands straight with both arms stretched out to the sides."""
    trunk = _unit(pose[12] - pose[0])
    arms = [_unit(pose[wrist] - pose[shoulder]) for shoulder, _, wrist in _ARMS]
    straight = all(_straight(pose, limb, 0.95) for limb in (*_ARMS, *_LEGS))
    sideways = all(abs(arm @ trunk) < 0.35 for arm in arms) and arms[0] @ arms[1] < -0.85
    standing = all(_unit(pose[ankle] - pose[hip]) @ trunk < -0.9 for hip, _, ankle in _LEGS)
    return bool(straight and sideways and standing)


def _straight(pose: np.ndarray, limb: tuple[int, int, int], cosine: float) -> bool:
    start, bend, end = (pose[joint] for joint in limb)
    return bool(_unit(bend - start) @ _unit(end - bend) > cosine)


def _steps(rows: np.ndarray) -> np.ndarray:
    """(T - 1,) the farthest that a joint moves between frames, seen from the pelvis, over the body's height."""
    seen = rows - rows[:, :1]
    height = max(float(np.median(np.linalg.norm(rows[:, 15] - rows[:, [7, 8]].mean(1), axis=-1))), 1e-9)
    return np.linalg.norm(np.diff(seen, axis=0), axis=-1).max(axis=1) / height


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
