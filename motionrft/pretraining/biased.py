"""Statistics under which a network minds the root and the feet more, as the published models did."""

from motionrft.errors import UserError
from motionrft.representations.kinematic import blocks, skeleton_of
from motionrft.representations.names import KINEMATIC
from motionrft.representations.statistics import Statistics

BIASED = ("yaw", "planar", "height", "contacts")


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
