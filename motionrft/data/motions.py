"""The motions of a split as a model wants them: its representation, its frame rate, its longest length."""

from functools import cached_property

from torch import Tensor

from motionrft.data.folder import MotionDataset
from motionrft.representations.convert import convert, route
from motionrft.representations.mirror import mirror
from motionrft.representations.resample import resample
from motionrft.representations.statistics import Statistics


class Motions:
    """Clips of a data set in a model's terms.

    What the folder does not hold is converted from the nearest representation that it does hold, and another frame
    rate is resampled (HY-Motion: 201 features at 30 frames a second from rotations at 20). Converted clips are kept.

    Args:
        representation, fps: of the motions that are wanted; longest: frames of them at most.
    """

    def __init__(self, dataset: MotionDataset, representation: str, fps: float, longest: int | None = None):
        self.dataset, self.representation, self.fps, self.longest = dataset, representation, fps, longest
        self.source = min(dataset.representations, key=lambda name: len(route(name, self.representation)))
        self._made: dict[int, Tensor] = {}

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
            if item not in self._made:
                self._made[item] = self._make(self.dataset.motion(item, self.source))
            clip = self._made[item]
        clip = clip[: self.longest]
        return mirror(clip, self.representation) if mirrored else clip

    def _make(self, clip: Tensor) -> Tensor:
        # Resampled where it is stored: rotations are interpolated on the sphere before positions are made of them.
        clip = resample(clip, self.source, self.dataset.fps, self.fps)
        return convert(clip[None], self.source, self.representation)[0].flatten(1)

    @cached_property
    def statistics(self) -> Statistics:
        """The folder's own files where the clips are the folder's own, otherwise those of the clips."""
        if self.as_stored:
            return self.dataset.statistics(self.representation)
        return Statistics.of_clips((self.motion(item) for item in range(len(self))), self.representation)
