"""The same motion in another time: slower or faster as a whole, and with rests where the body moves least.

What happens, how often and in which order stays; how long it takes does not tell it any more.
"""

from random import Random

import torch
from torch import Tensor

from motionrft.representations.joints import between_frames

_CREEP = 0.03
"""Speed in a rest, of the speed elsewhere: nobody stands like a picture."""
_SOFT = 5
"""Frames over which the speed changes."""


def paced(joints: Tensor, frames: int, rng: Random) -> Tensor:
    """Joints (T, J, 3), three frames at least, in `frames` frames: (frames, J, 3).

    Of the time that is to spare, a random share slows all of it down, and the rest goes into one or two rests.
    """
    spare = frames - len(joints)
    speed = torch.ones(frames, dtype=torch.float64)
    resting = int(max(spare, 0) * rng.random())
    if resting:
        parts = rng.choice((1, 2))
        for _ in range(parts):
            _rest(speed, joints, resting // parts, rng)
        kernel = torch.ones(1, 1, _SOFT, dtype=torch.float64) / _SOFT
        padded = torch.nn.functional.pad(speed[None, None], (_SOFT // 2, _SOFT // 2), mode="replicate")
        speed = torch.conv1d(padded, kernel)[0, 0]
    passed = torch.cat((speed.new_zeros(1), ((speed[1:] + speed[:-1]) / 2).cumsum(0)))  # (frames,)
    times = passed / passed[-1] * (len(joints) - 1)
    before = times.floor().long().clamp(max=len(joints) - 2)
    return between_frames(joints, before, times - before)


def _rest(speed: Tensor, joints: Tensor, frames: int, rng: Random) -> None:
    """Slow `speed` (F,) down for so many frames, about where one of the quietest moments of joints (T, J, 3) falls."""
    quick = joints.diff(dim=0).norm(dim=-1).mean(-1)  # (T - 1,)
    quiet = quick.argsort()[: max(1, len(quick) // 5)]
    moment = int(quiet[rng.randrange(len(quiet))]) / max(len(quick) - 1, 1)
    # So far the motion takes the whole time evenly but for the rests that it has.
    passed = speed.cumsum(0) / speed.sum()
    middle = int((passed < moment).sum())
    start = min(max(middle - frames // 2, 0), len(speed) - frames)
    speed[start : start + frames] = _CREEP
