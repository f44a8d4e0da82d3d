"""Does the motion do what the caption says, where that can be read off both: the named hand, the side of a
turn.

A crude but independent check: no network is asked. Captions with the words left and right only; the others
are not counted.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.evaluation.metrics.exact import exact
from motionrft.lengths import length_mask
from motionrft.representations.joints import heading_change

LEFT, NEITHER, RIGHT = 1, 0, -1
_SIDE = {"left": LEFT, "right": RIGHT}
_HAND = re.compile(r"\b(?:raise|lift|wave|put)\w*\b[^,]*?\b(left|right) (?:hand|arm)\b")
_TURN = re.compile(r"\b(left|right) turn|\bturn\w*\b[^,]*?(?<!energy )\b(left|right)\b")
_HEAD, _WRISTS = 15, {LEFT: 20, RIGHT: 21}
HIGHER_THAN_OTHER, BELOW_HEAD = 0.2, 0.1
"""m: the named wrist rises this far above the other's highest, and to this far below the head at least."""


def named_hand(caption: str) -> int:
    """`LEFT` or `RIGHT` where one hand or arm is to be raised or waved, else `NEITHER`."""
    found = _HAND.search(caption.lower())
    return _SIDE[found[1]] if found else NEITHER


def named_turn(caption: str) -> int:
    """`LEFT` or `RIGHT` where the caption tells of a turn to that side, else `NEITHER`."""
    found = _TURN.search(caption.lower())
    return _SIDE[found[1] or found[2]] if found else NEITHER


def raised_hand(joints: Tensor, lengths: Tensor) -> Tensor:
    """(B,) int64 which hand alone is raised in joints (B, T, 22, 3): `LEFT`, `RIGHT` or `NEITHER`."""
    height = joints[..., 1].masked_fill(~length_mask(lengths, joints.shape[1])[..., None], -torch.inf)
    left, right = (height[..., _WRISTS[side]].max(dim=1) for side in (LEFT, RIGHT))  # (B,) each
    left_up = (left.values > right.values + HIGHER_THAN_OTHER) & _reaches_head(height, left.indices, LEFT)
    right_up = (right.values > left.values + HIGHER_THAN_OTHER) & _reaches_head(height, right.indices, RIGHT)
    return LEFT * left_up.long() + RIGHT * right_up.long()  # (B,)


def turned_side(joints: Tensor, lengths: Tensor) -> Tensor:
    """(B,) int64 sign of the change of heading: `LEFT` or `RIGHT`."""
    return heading_change(joints, lengths).sign().long()


def agreement(named: Sequence[int], done: Tensor) -> Tensor:
    """Share of the captions that tell a side whose motions do it, () float64; NaN where no caption tells
    one."""
    wanted = torch.tensor(list(named), device=done.device)  # (B,)
    right = (wanted == done)[wanted != NEITHER]  # (those named,)
    return exact(right).mean()


def _reaches_head(height: Tensor, frame: Tensor, side: int) -> Tensor:
    at = height[torch.arange(len(frame), device=frame.device), frame]  # (B, 22)
    return at[:, _WRISTS[side]] > at[:, _HEAD] - BELOW_HEAD  # (B,)
