"""Which names of rewards mean code of the user's own. Free of torch: presets ask it."""

from motionrft.registry import REWARDS
from motionrft.settings.code import CODE, is_place
from motionrft.settings.fields import suggests

REWARD = "reward folder, published checkpoint, builtin, or code of your own: my_module:my_reward or a package's name"
"""What a preset's field `reward` takes."""
NAMES = CODE | suggests(
    "builtin", "builtin-world", *(name for name in REWARDS.names() if name not in REWARDS.table)
)
"""Its extras: it may name code, and these words are completed."""


LEARNT = ("semantic", "preference", "authenticity")
MEASURED = (
    *("foot_skating", "penetration", "floating", "jitter", "bone_length_drift"),
    *("hovering", "lying", "swapped_sides"),
)
"""Terms that `score --terms` takes: learnt ones, and `physics` or one of these. Without torch, as `motionrft.physics`
cannot tell them."""


def is_own(name: object) -> bool:
    """Whether a reward's name means code: `module:attribute`, or what a package or this program has registered."""
    return is_place(name) or (isinstance(name, str) and name in REWARDS and name not in REWARDS.table)


def own_name(name: str) -> str:
    """What its term is called: the attribute of `module:attribute`, or the registered name."""
    return name.rpartition(":")[2]
