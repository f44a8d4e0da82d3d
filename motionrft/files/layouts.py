"""Orders of axes and numbers of joints in which arrays of joint positions come, and what makes (…, T, 22, 3) of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionrft.representations.names import HYMOTION, JOINTS, representation_name

BODIES = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X"}
"""Skeletons whose first 22 joints are ours: the others are hands, jaw and eyes. SMPL-X has 55 joints with the face's."""
KIT_AS_SMPL = (0, 16, 11, 1, 17, 12, 2, 18, 13, 2, 19, 14, 3, 8, 5, 4, 8, 5, 9, 6, 10, 7)
"""For each of our 22 joints the nearest of KIT-ML's 21, to see how such a body stands and how large it is; the sides as
the official code takes them."""
_COUNTS = (22, 21, *BODIES)


@dataclass(frozen=True)
class Layout:
    """order: the axes of the array in the order that is wanted. joints: how many of them are kept, 0: all."""

    order: tuple[int, ...]
    joints: int = 0
    notes: tuple[str, ...] = ()

    def applied(self, array: np.ndarray) -> np.ndarray:
        """A view of the array in the wanted layout."""
        view = array.transpose(self.order)
        return view[..., : self.joints, :] if self.joints else view


def joints_layout(shape: tuple[int, ...], wanted: str | None = None) -> Layout:
    """The layout of an array that may be joint positions; anything else stays as it is.

    Known: (…, J, 3), MDM's (B, J, 3, T) and (J, 3, T), ACMDM's (B, 3, T, J), for J of 21, 22, 24, 52 or 55.
    """
    same = tuple(range(len(shape)))
    if wanted is not None and representation_name(wanted) != JOINTS:
        return Layout(same)
    order, note = _order(shape)
    joints = shape[order[-2]] if len(shape) >= 3 and shape[order[-1]] == 3 else 0
    notes = (note,) if note else ()
    if joints in BODIES:
        return Layout(order, 22, (*notes, f"the first 22 of {joints} joints ({BODIES[joints]})"))
    return Layout(order, 0, notes)


def _order(shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    same = tuple(range(len(shape)))
    if len(shape) not in (3, 4) or (shape[-1] == 3 and shape[-2] in _COUNTS):
        return same, ""
    tail, batch = shape[-3:], same[:-3]
    first = len(batch)
    if tail[0] in _COUNTS and tail[1] == 3:
        return (*batch, first + 2, first, first + 1), "time was its last axis"
    if tail[0] == 3 and tail[2] in _COUNTS:
        return (*batch, first + 1, first + 2, first), "coordinates were its first axis"
    return same, ""


def usual_fps(representation: str, width: int) -> float:
    """The frame rate of a representation's data sets; `width` is that of the last axis, or the number of joints."""
    if width in (251, 21, 63):
        return 12.5
    return 30.0 if representation == HYMOTION else 20.0
