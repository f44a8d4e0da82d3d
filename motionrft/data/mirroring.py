"""Mirrored training data: a clip and its caption seen in a mirror, twice the data and no preferred hand.

HumanML3D ships mirrored clips as files. This is the same augmentation made on the fly in feature space: exact for a
symmetric skeleton, and off by the difference of left and right bone lengths (at most 7 mm) on the target skeleton.
"""

import re

import torch
from torch import Tensor

from motionrft.skeleton import SMPL22

_SWAPPED_WORDS = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
}
_WORD = re.compile(r"\b(" + "|".join(_SWAPPED_WORDS) + r")\b", re.IGNORECASE)


def mirror_caption(caption: str) -> str:
    """Swap left and right, clockwise and counterclockwise; case of the first letter is kept."""

    def swap(match: re.Match[str]) -> str:
        word = _SWAPPED_WORDS[match[0].lower()]
        return word.capitalize() if match[0][0].isupper() else word

    return _WORD.sub(swap, caption)


def mirror_kinematic(features: Tensor) -> Tensor:
    """Kinematic features (..., 263) of the motion seen in the plane x = 0; not normalised.

    Yaw and sideways velocities change sign, joints swap sides and negate x; of a rotation's two columns
    M R M (M = diag(-1, 1, 1)) keeps r00, r11, r21 and negates r10, r20, r01.
    """
    signs, source = _mirror_tables()
    return features[..., source.to(features.device)] * signs.to(features)


def _mirror_tables() -> tuple[Tensor, Tensor]:
    """Sign and source column of each mirrored feature, both (263,)."""
    order = torch.tensor(SMPL22.mirror_order)
    joints = order[1:] - 1
    vector, rotation = torch.tensor([-1.0, 1.0, 1.0]), torch.tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
    signs = [
        torch.tensor([-1.0, -1.0, 1.0, 1.0]),
        vector.repeat(21),
        rotation.repeat(21),
        vector.repeat(22),
        torch.ones(4),
    ]
    source = [
        torch.arange(4),
        4 + _columns(joints, 3),
        67 + _columns(joints, 6),
        193 + _columns(order, 3),
        torch.tensor([261, 262, 259, 260]),
    ]
    return torch.cat(signs), torch.cat(source)


def _columns(joints: Tensor, width: int) -> Tensor:
    return (joints[:, None] * width + torch.arange(width)).flatten()
