"""The figure that is drawn: which limbs join which points, how thick they are, and which side they belong to.

A figure is a list of tapered capsules between points. The points are the skeleton's joints and four more that no
skeleton has but a reader needs: the middle of the head, the nose (which way does the person look?) and two hands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from motionrft.errors import UserError
from motionrft.representations.names import HIGHEST_ROOT

Side = Literal["left", "right", "middle"]
SIDES: tuple[Side, ...] = ("left", "right", "middle")


@dataclass(frozen=True)
class Limb:
    """A capsule from point `start` to point `end` with a radius in metres at each."""

    start: int
    end: int
    start_radius: float
    end_radius: float
    side: Side


@dataclass(frozen=True)
class Body:
    """Limbs of one skeleton, and the joints its extra points are made of.

    Attributes:
        joints: J of the skeleton.
        limbs: over J + 4 points; J: head, J + 1: nose, J + 2: left hand, J + 3: right hand.
        head: (base joint, end joint) of the neck; the head continues that bone.
        arms: ((elbow, wrist) left, (elbow, wrist) right); the hand continues the forearm.
        across: (right hip, left hip, right shoulder, left shoulder), which tell the heading.
        toes: the foremost joint of each foot.
    """

    joints: int
    limbs: tuple[Limb, ...]
    head: tuple[int, int]
    arms: tuple[tuple[int, int], tuple[int, int]]
    across: tuple[int, int, int, int]
    toes: tuple[int, int]


def _chain(side: Side, points: tuple[int, ...], radii: tuple[float, ...]) -> tuple[Limb, ...]:
    steps = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    return tuple(Limb(a, b, ra, rb, side) for a, b, ra, rb in steps)


LEG = (0.075, 0.078, 0.050, 0.036, 0.030)  # pelvis, hip, knee, ankle, toe
ARM = (0.060, 0.050, 0.053, 0.039, 0.027, 0.026)  # spine, collar, shoulder, elbow, wrist, hand
TRUNK = (0.088, 0.086, 0.088, 0.082, 0.046)  # pelvis, spine1, spine2, spine3, neck
HEAD_RADII = (0.074, 0.092)  # jaw, crown
NOSE_RADII = (0.030, 0.020)


def _smpl22() -> Body:
    head, nose, left_hand, right_hand = 22, 23, 24, 25
    limbs = (
        *_chain("middle", (0, 3, 6, 9, 12), TRUNK),
        Limb(12, head, 0.048, 0.056, "middle"),
        Limb(15, head, *HEAD_RADII, "middle"),
        Limb(head, nose, *NOSE_RADII, "middle"),
        *_chain("left", (0, 1, 4, 7, 10), LEG),
        *_chain("right", (0, 2, 5, 8, 11), LEG),
        *_chain("left", (9, 13, 16, 18, 20, left_hand), ARM),
        *_chain("right", (9, 14, 17, 19, 21, right_hand), ARM),
    )
    return Body(22, limbs, (12, 15), ((18, 20), (19, 21)), (2, 1, 17, 16), (10, 11))


def _kit21() -> Body:
    """KIT-ML's skeleton. Chains 5-7 and 11-15 are on the side its processing calls right (and its names call left)."""
    head, nose, left_hand, right_hand = 21, 22, 23, 24
    limbs = (
        *_chain("middle", (0, 1, 2, 3), (TRUNK[0], TRUNK[1], TRUNK[2], TRUNK[4])),
        Limb(3, head, 0.048, 0.056, "middle"),
        Limb(4, head, *HEAD_RADII, "middle"),
        Limb(head, nose, *NOSE_RADII, "middle"),
        *_chain("right", (0, 11, 12, 13, 14, 15), (*LEG, 0.026)),
        *_chain("left", (0, 16, 17, 18, 19, 20), (*LEG, 0.026)),
        *_chain("right", (3, 5, 6, 7, right_hand), ARM[:1] + ARM[2:]),
        *_chain("left", (3, 8, 9, 10, left_hand), ARM[:1] + ARM[2:]),
    )
    return Body(21, limbs, (3, 4), ((9, 10), (6, 7)), (11, 16, 5, 8), (20, 15))


BODIES = {22: _smpl22(), 21: _kit21()}


def check_joints(joints: np.ndarray, what: str = "joints") -> np.ndarray:
    """Return `joints` as float64 (T, J, 3) in metres, also those in millimetres (KIT-ML), or say what is wrong with it.

    Raises:
        UserError: the shape is not (T, 22, 3) or (T, 21, 3), there is no frame, or a value is not finite.
    """
    motion = np.asarray(joints, dtype=np.float64)
    if motion.ndim != 3 or motion.shape[1] not in BODIES or motion.shape[2] != 3:
        raise UserError(
            f"{what}: shape {motion.shape} cannot be drawn; pictures take joints (T, 22, 3) or (T, 21, 3)."
        )
    if not motion.shape[0]:
        raise UserError(f"{what}: the motion has no frames, so there is nothing to draw.")
    bad = ~np.isfinite(motion).all(axis=(1, 2))
    if bad.any():
        raise UserError(
            f"{what}: frame {int(bad.argmax())} holds NaN or infinity; such a motion cannot be drawn."
        )
    in_millimetres = motion.shape[1] == 21 and abs(motion[0, 0, 1]) > HIGHEST_ROOT
    return motion / 1000 if in_millimetres else motion


def body_of(joints: np.ndarray) -> Body:
    """The body of a checked motion (T, J, 3)."""
    return BODIES[joints.shape[1]]


def facing(joints: np.ndarray) -> np.ndarray:
    """Horizontal unit vectors (T, 3) the person faces, from hips and shoulders; +Z where these are degenerate."""
    right_hip, left_hip, right_shoulder, left_shoulder = body_of(joints).across
    across = joints[:, left_hip] - joints[:, right_hip] + joints[:, left_shoulder] - joints[:, right_shoulder]
    forward = np.stack([-across[:, 2], np.zeros(len(joints)), across[:, 0]], axis=-1)  # across x up
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    return np.where(length > 1e-6, forward / np.maximum(length, 1e-6), [0.0, 0.0, 1.0])


def figure_points(joints: np.ndarray) -> np.ndarray:
    """Joints (T, J, 3) and the four extra points of `Body` -> (T, J + 4, 3)."""
    body = body_of(joints)
    neck, top = joints[:, body.head[0]], joints[:, body.head[1]]
    up = _unit(top - neck)
    crown = top + 0.065 * up
    across = joints[:, body.across[3]] - joints[:, body.across[2]]
    look = _unit(np.cross(across, up))
    nose = crown + 0.088 * look
    hands = [
        joints[:, wrist] + 0.085 * _unit(joints[:, wrist] - joints[:, elbow]) for elbow, wrist in body.arms
    ]
    return np.concatenate([joints, np.stack([crown, nose, *hands], axis=1)], axis=1)


def ground_height(joints: np.ndarray) -> float:
    """Height of the floor under joints (T, J, 3), metres: 0, unless the whole motion lies elsewhere (its lowest joint).

    A motion that sinks or floats by a hand's breadth must be seen to do so, hence the tolerance.
    """
    lowest = float(joints[..., 1].min())
    return 0.0 if abs(lowest) < 0.3 else lowest


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-8)  # (..., 3)
