"""The same motion in another time: slower or faster as a whole, and with rests where the body moves least.

What happens, how often and in which order stays; how long it takes does not tell it any more.
"""

from random import Random

import torch
from torch import Tensor

from motionrft.representations.joints import between_frames

_CREEP = 0.03
"""Frames that pass in a frame of rest: nobody stands like a picture."""
_SOFT = 5
"""Frames over which the speed changes."""
_QUIET = 0.2
"""Share of a motion's moments that it may rest at: the quietest."""


def paced(joints: Tensor, frames: int, rng: Random) -> Tensor:
    """Joints (T, J, 3), three frames at least, in `frames` frames: (frames, J, 3).

    Of the time that is to spare, a random share slows all of it down, and the rest goes into one or two rests.
    """
    last = len(joints) - 1
    resting = int(max(frames - len(joints), 0) * rng.random())
    several = rng.choice((1, 2))
    shares = [resting // several + (n < resting % several) for n in range(several)]
    quick = joints.diff(dim=0).norm(dim=-1).mean(-1)  # (T - 1,)
    quiet = quick.argsort()[: max(1, round(_QUIET * last))].tolist()
    times = [torch.linspace(0, last, frames - resting, dtype=torch.float64)]
    for share in shares:
        creep = torch.linspace(-0.5, 0.5, share, dtype=torch.float64) * _CREEP * share
        times.append(rng.choice(quiet) + 0.5 + creep)
    when = torch.cat(times).sort().values.clamp(0, last)  # (frames,)
    if resting:
        padded = torch.nn.functional.pad(when[None, None], (_SOFT // 2, _SOFT // 2), mode="replicate")
        inner = padded.unfold(-1, _SOFT, 1).mean(-1)[0, 0]  # (frames,)
        when = torch.cat((when[:1], inner[1:-1], when[-1:]))
    before = when.floor().long().clamp(max=last - 1)
    return between_frames(joints, before, when - before)
