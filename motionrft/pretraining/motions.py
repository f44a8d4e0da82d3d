"""The motions of a split as a generator is trained on them: its representation, its frame rate, its longest length."""

from functools import cached_property

from torch import Tensor

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.generators.base import Generator
from motionrft.representations.convert import convert, route
from motionrft.representations.kinematic import blocks, skeleton_of
from motionrft.representations.mirror import mirror
from motionrft.representations.names import KINEMATIC
from motionrft.representations.resample import resample
from motionrft.representations.statistics import Statistics

BIASED = ("yaw", "planar", "height", "contacts")


class Motions:
    """Clips of a data set in a generator's terms.

    What the folder does not hold is converted from the nearest representation that it does hold, and another frame
    rate is resampled (HY-Motion: 201 features at 30 frames a second from rotations at 20). Converted clips are kept.

    Args:
        generator: whose motions are wanted; it may be on the meta device, only its description is read.
    """

    def __init__(self, dataset: MotionDataset, generator: Generator):
        self.dataset = dataset
        self.representation, self.fps = generator.trained_on, generator.fps
        self.longest = generator.max_frames
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


def biased(statistics: Statistics, representation: str, bias: float) -> Statistics:
    """Divide the std of the root's terms and of the foot contacts: the network then minds them more.

    The published models do so by 5 (StableMoFusion) and 25 (MotionDiffuse).

    Raises:
        UserError: the representation is not kinematic, which alone has such terms.
    """
    if bias == 1:
        return statistics
    if representation != KINEMATIC:
        raise UserError(
            f"feature_bias is of kinematic motions; this generator is trained on {representation}"
        )
    std = statistics.std.clone()
    places = blocks(skeleton_of(len(std)))
    for name in BIASED:
        std[places[name]] /= bias
    return Statistics(statistics.mean, std)
