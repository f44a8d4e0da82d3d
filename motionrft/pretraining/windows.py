"""Clips for the first stage: short windows, half of them mirrored, normalised and padded."""

import torch
from torch import Tensor

from motionrft.data.batches import BalancedBatches, pad
from motionrft.data.motions import Motions
from motionrft.representations.mirror import mirror
from motionrft.representations.statistics import Statistics
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.seeds import generator_for


class Windows:
    """Batches of at most `window` frames a clip: short ones cost no padding, which makes training several times as fast.

    Args:
        mirrored: turn every second clip into its mirror image, on average.
        company: each process reads its rows of a batch alone.
    """

    def __init__(
        self,
        motions: Motions,
        statistics: Statistics,
        batch: int,
        window: int,
        seed: int,
        mirrored: bool,
        company: Distribution = ALONE,
    ):
        company.check_batch(batch)
        self.motions, self.statistics, self.window, self.company = motions, statistics, window, company
        self.seed, self.mirrored = seed, mirrored
        self.batches = BalancedBatches(motions.dataset, batch, seed)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """(b, T, D) normalised, this process's rows of a step's batch, and (B,) lengths, of all its rows."""
        items = self.batches[step]
        draws = generator_for(self.seed, "window", step)
        rows = self.company.rows(len(items))
        starts, flips = torch.rand(2, len(items), generator=draws)[:, rows].tolist()  # (b,) each
        own = items[rows].tolist()
        clips = [self._window(self.motions.motion(item), s) for item, s in zip(own, starts, strict=True)]
        self.motions.expect(self.batches[step + 1][rows])
        if self.mirrored:
            clips = [
                mirror(clip, self.motions.representation) if flip < 0.5 else clip
                for clip, flip in zip(clips, flips, strict=True)
            ]
        lengths = self.motions.lengths[items].clamp(max=self.window)  # (B,)
        normalised = [self.statistics.normalise(clip) for clip in clips]
        return pad(normalised, longest=int(lengths.max()))[0], lengths

    def _window(self, clip: Tensor, start: float) -> Tensor:
        spare = clip.shape[0] - self.window
        first = int(start * (spare + 1)) if spare > 0 else 0
        return clip[first : first + self.window]  # (window, D)
