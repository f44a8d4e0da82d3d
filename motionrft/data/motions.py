"""The motions of a split as a model wants them: its representation, its frame rate, its longest length."""

import threading
from functools import cached_property

from torch import Tensor

from motionrft.data.ahead import ReadAhead
from motionrft.data.folder import MotionDataset
from motionrft.representations.convert import convert, converted_lengths, route
from motionrft.representations.mirror import mirror
from motionrft.representations.resample import resample, resampled_lengths
from motionrft.representations.statistics import Statistics
from motionrft.training.recent import Recent

HELD = 128 * 2**20
"""Bytes of converted motions kept in memory; others are converted again when they are asked for again."""


class Motions:
    """Clips of a data set in a model's terms.

    What the folder does not hold is converted from the nearest representation that it does hold, and another frame
    rate is resampled (HY-Motion: 201 features at 30 frames a second from rotations at 20). The latest conversions are
    kept.

    Args:
        representation, fps: of the motions that are wanted; longest: frames of them at most.
    """

    def __init__(self, dataset: MotionDataset, representation: str, fps: float, longest: int | None = None):
        self.dataset, self.representation, self.fps, self.longest = dataset, representation, fps, longest
        self.source = min(dataset.representations, key=lambda name: len(route(name, self.representation)))
        self._made: Recent[int, Tensor] = Recent(HELD)
        self._holding = threading.Lock()
        self._ahead: ReadAhead[int] = ReadAhead(self.motion)

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def as_stored(self) -> bool:
        """The folder's own numbers, neither converted nor resampled."""
        return self.source == self.representation and self.fps == self.dataset.fps

    def motion(self, item: int, mirrored: bool = False) -> Tensor:
        """(T, D), de-normalised, joints flat."""
        if self.as_stored:
            clip = self.dataset.motion(item, self.source)
        else:
            clip = self._converted(item)
        clip = clip[: self.longest]
        return mirror(clip, self.representation) if mirrored else clip

    @cached_property
    def lengths(self) -> Tensor:
        """(N,) int64 frames of each motion, of which none is read for it."""
        counts = resampled_lengths(self.dataset.lengths, self.source, self.dataset.fps, self.fps)
        counts = converted_lengths(counts, self.source, self.representation)
        return counts if self.longest is None else counts.clamp(max=self.longest)

    def expect(self, items: Tensor) -> None:
        """Have a thread read, and convert, these items (B,), which are asked for next."""
        self._ahead.expect(items.tolist())

    def _converted(self, item: int) -> Tensor:
        with self._holding:
            clip = self._made.get(item)
        if clip is None:
            clip = self._make(self.dataset.motion(item, self.source))
            with self._holding:
                self._made.put(item, clip, clip.nbytes)
        return clip

    def _make(self, clip: Tensor) -> Tensor:
        # Resampled where it is stored: rotations are interpolated on the sphere before positions are made of them.
        clip = resample(clip, self.source, self.dataset.fps, self.fps)
        return convert(clip[None], self.source, self.representation)[0].flatten(1)

    @cached_property
    def statistics(self) -> Statistics:
        """The folder's own files where the clips are the folder's own, otherwise those of the clips."""
        if self.as_stored:
            return self.dataset.statistics(self.representation)
        clips = (self.motion(item) for item in range(len(self)))
        what = f"{self.representation} of {self.source} at {self.fps}, {self.longest} frames"
        return self.dataset.kept_statistics(what, lambda: Statistics.of_clips(clips, self.representation))
