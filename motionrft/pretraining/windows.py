"""Clips for the first stage: short windows, half of them mirrored, normalised and padded."""

import torch
from torch import Tensor

from motionrft.data.batches import BalancedBatches, pad
from motionrft.data.motions import Motions
from motionrft.representations.mirror import mirror
from motionrft.representations.statistics import Statistics
from motionrft.training.seeds import generator_for


class Windows:
    """Batches of at most `window` frames a clip: short ones cost no padding, which makes training several times as fast.

    Args:
        mirrored: turn every second clip into its mirror image, on average.
    """

    def __init__(
        self, motions: Motions, statistics: Statistics, batch: int, window: int, seed: int, mirrored: bool
    ):
        self.motions, self.statistics, self.window = motions, statistics, window
        self.seed, self.mirrored = seed, mirrored
        self.batches = BalancedBatches(motions.dataset, batch, seed)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """(B, T, D) normalised, and (B,) lengths, of a step."""
        items = self.batches[step]
        draws = generator_for(self.seed, "window", step)
        starts, flips = torch.rand(2, len(items), generator=draws).tolist()  # (B,) each
        clips = [self._window(self.motions.motion(int(i)), s) for i, s in zip(items, starts, strict=True)]
        self.motions.expect(self.batches[step + 1])
        if self.mirrored:
            clips = [
                mirror(clip, self.motions.representation) if flip < 0.5 else clip
                for clip, flip in zip(clips, flips, strict=True)
            ]
        return pad([self.statistics.normalise(clip) for clip in clips])

    def _window(self, clip: Tensor, start: float) -> Tensor:
        spare = clip.shape[0] - self.window
        first = int(start * (spare + 1)) if spare > 0 else 0
        return clip[first : first + self.window]  # (window, D)
