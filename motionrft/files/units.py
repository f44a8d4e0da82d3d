"""The unit of a motion file, by the size of the body in it: legs and whole height must agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from motionrft.skeleton import SMPL22

UNITS = MappingProxyType(
    {
        "metres": 1.0,
        "centimetres": 0.01,
        "millimetres": 0.001,
        "inches": 0.0254,
        "CMU units": 0.0254 / 0.45,
    }
)
"""Metres in one of each unit that motion files come in. CMU's unit is 1 / 0.45 inch."""
SHORT = MappingProxyType(
    {"m": "metres", "cm": "centimetres", "mm": "millimetres", "inch": "inches", "cmu": "CMU units"}
)
"""Units as the command line calls them."""

_LEGS = ((1, 4), (4, 7), (2, 5), (5, 8))
_TRUNK = ((0, 3), (3, 6), (6, 9), (9, 12), (12, 15))
_HEIGHT = 1.17
"""Height of a body over the bones from ankle to head joint: sole, pelvis and skull are not among them."""
_HEIGHTS, _LEG_LENGTHS = (0.75, 2.3), (0.3, 1.15)
"""Metres of the smallest child and the tallest adult; leg: hip to ankle."""
_ADULT_HEIGHTS, _ADULT_LEGS = (1.4, 2.1), (0.62, 1.05)


@dataclass(frozen=True)
class UnitGuess:
    """unit: a key of `UNITS`, or None where two fit equally well. height: metres in that unit. others: what fits as well.

    human: whether any unit makes it the size of a person.
    """

    unit: str | None
    height: float
    others: tuple[str, ...] = ()
    human: bool = True


def guess_unit(joints: np.ndarray) -> UnitGuess:
    """The unit of joints (T, 22, 3) in which legs and height are a person's; an adult's rather than a child's."""
    leg, height = _sizes(joints)
    if leg <= 0 or height <= 0:
        return UnitGuess("metres", height, human=False)
    people = [unit for unit in UNITS if _within(leg, height, unit, _LEG_LENGTHS, _HEIGHTS)]
    adults = [unit for unit in people if _within(leg, height, unit, _ADULT_LEGS, _ADULT_HEIGHTS)]
    best = adults or people
    if not best:
        nearest = min(UNITS, key=lambda unit: abs(math.log(height * UNITS[unit] / 1.7)))
        return UnitGuess(nearest, height * UNITS[nearest], human=False)
    if len(best) > 1:
        return UnitGuess(None, height, tuple(best))
    return UnitGuess(best[0], height * UNITS[best[0]])


def _sizes(joints: np.ndarray) -> tuple[float, float]:
    """Leg and whole height in the file's unit: medians over the frames."""

    def along(bones: tuple[tuple[int, int], ...]) -> float:
        lengths = [np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) for parent, child in bones]
        return float(np.median(np.sum(lengths, axis=0)))

    leg = along(_LEGS) / 2
    return leg, _HEIGHT * (leg + along(_TRUNK))


def _within(
    leg: float, height: float, unit: str, legs: tuple[float, float], heights: tuple[float, float]
) -> bool:
    scale = UNITS[unit]
    return legs[0] <= leg * scale <= legs[1] and heights[0] <= height * scale <= heights[1]


def rigid(joints: np.ndarray) -> bool:
    """Whether bones keep their length, as a body's do and normalised or damaged joints do not."""
    parents = list(SMPL22.parents[1:])
    bones = np.linalg.norm(joints[:, 1:] - joints[:, parents], axis=-1)
    long = bones.mean(0) > 0.1 * bones.mean(0).max(initial=0.0)
    return bool(np.all(bones.std(0)[long] < 0.1 * bones.mean(0)[long] + 1e-9))
