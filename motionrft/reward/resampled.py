"""A reward at its own frame rate: clean motions of another rate are resampled on their way to it, differentiably.

A reward that learnt at 20 frames a second sees 30 as slow motion. Joints and rotations can be interpolated; kinematic
features, which hold velocities, cannot, and noisy states are judged as they come: interpolation would average noise away.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.lengths import zero_padding
from motionrft.representations.joints import cubic_weights, sample_times
from motionrft.representations.names import JOINTS, ROTATION
from motionrft.reward.around import Around
from motionrft.reward.base import Reward, RewardCondition

SAME_RATE = 0.01
"""Frames a second below which two rates are one."""
_PATH = 3
"""Numbers of a rotation motion that are a place; the others are columns of rotations."""


def at_own_rate(reward: Reward, fps: float) -> Reward:
    """The reward for motions of `fps`: itself, or behind a `Resampled` where it learnt another rate and can be helped."""
    about = getattr(reward, "about", None)
    learnt = about.get("fps") if isinstance(about, dict) else None
    if not learnt or abs(learnt - fps) <= SAME_RATE or reward.representation not in (JOINTS, ROTATION):
        return reward
    return Resampled(reward, fps, float(learnt))


class Resampled(Around):
    """The reward `inner`, which learnt motions at `learnt` frames a second, for motions of `fps`."""

    def __init__(self, inner: Reward, fps: float, learnt: float) -> None:
        super().__init__(inner)
        self.fps, self.learnt = fps, learnt
        self._times: dict[tuple[int, torch.device, torch.dtype], Times] = {}
        """By frames: what was copied to a device once is not waited for again."""

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        if references is not None and lengths is not None:
            references, lengths = self._at_its_rate(references, lengths)
        return self.inner.prepare(texts, references, lengths)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if isinstance(t, int) and t == 0:
            motion, lengths = self._at_its_rate(motion, lengths)
        found: tuple[Tensor, dict[str, Tensor]] = self.inner(motion, lengths, condition, t)
        return found

    def _at_its_rate(self, motion: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(motion.device.type, enabled=False):
            key = (motion.shape[1], motion.device, motion.dtype)
            if key not in self._times:
                self._times[key] = times_for(motion, self.fps, self.learnt)
            times = self._times[key]
            if self.representation == JOINTS:
                resampled = resample_batch(motion, lengths, times)
            else:
                path = resample_batch(motion[..., :_PATH], lengths, times)
                turned = resample_batch(motion[..., _PATH:], lengths, times, straight=True)
                resampled = torch.cat((path, turned), dim=-1)
            frames = ((lengths - 1) * (self.learnt / self.fps) + 1e-6).long() + 1
            return zero_padding(resampled, frames), frames


Times = tuple[Tensor, Tensor]
"""(K,) frames before K new ones, and (K,) how far each lies beyond it."""


def times_for(values: Tensor, source_fps: float, target_fps: float) -> Times:
    """Where the frames of the new rate lie in `values` (B, T, ...), on its device."""
    before, fraction = sample_times(values.shape[1], source_fps, target_fps)
    return before.to(values.device), fraction.to(values.dtype).to(values.device)


def resample_batch(values: Tensor, lengths: Tensor, times: Times, straight: bool = False) -> Tensor:
    """(B, T, ...) to (B, K, ...), item by item as `representations.joints.resample_smooth`, without asking the device.

    Args:
        lengths: (B,) at least 3 valid frames; what comes beyond the last of the resampled ones is meaningless.
        straight: lines instead of cubics: for columns of rotations, whose mean is the rotation half way.
    """
    before, fraction = times
    x = fraction.reshape(-1, *(1,) * (values.dim() - 2))  # (K, 1, ...)
    if straight:
        after = (before + 1).clamp(max=values.shape[1] - 1)
        return values[:, before] + x * (values[:, after] - values[:, before])
    items = torch.arange(len(values), device=values.device)
    a, b, c = (values[items, (lengths - k).clamp(min=0)] for k in (1, 2, 3))  # (B, ...) each: the last three
    first = 3 * (values[:, 0] - values[:, 1]) + values[:, 2]
    last = (3 * (a - b) + c)[:, None]
    place = torch.arange(values.shape[1] + 1, device=values.device)
    beyond = (place[None] == lengths[:, None]).reshape(len(values), -1, *(1,) * (values.dim() - 2))
    longer = torch.where(beyond, last, torch.cat((values, values[:, -1:]), dim=1))
    padded = torch.cat((first[:, None], longer, longer[:, -1:]), dim=1)  # frame k lies at k + 1
    return torch.stack([weight * padded[:, before + k] for k, weight in enumerate(cubic_weights(x))]).sum(0)
