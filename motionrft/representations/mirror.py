"""The mirror image of a motion, left and right exchanged, in every representation.

Feature by feature, so that mirroring twice gives back the same numbers. Mirrored kinematic features keep the mirrored
bone lengths (the target skeleton's sides differ by up to 7 mm); mirror the joints and convert to have them exact.
"""

from functools import cache

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.moving import moved
from motionrft.representations.joints import mirror_joints
from motionrft.representations.kimodo.features import KimodoFeatures, skeleton_of_features
from motionrft.representations.kinematic import blocks, skeleton_of
from motionrft.representations.names import (
    FLOWMDM,
    HYMOTION,
    JOINTS,
    KIMODO,
    KINEMATIC,
    ROTATION,
    representation_name,
)
from motionrft.skeleton import SMPL22

_COLUMNS = (1.0, -1.0, -1.0, -1.0, 1.0, 1.0)
"""Signs of 6D by columns when x turns over: diag(-1, 1, 1) R diag(-1, 1, 1)."""
_INTERLEAVED = (1.0, -1.0, -1.0, 1.0, -1.0, 1.0)


def mirror(motion: Tensor, representation: str) -> Tensor:
    """Mirror (..., D), or joints (..., J, 3) or (..., 66); padding of zeros stays zero.

    Raises:
        UserError: unknown representation.
    """
    name = representation_name(representation)
    apart = name == JOINTS and motion.shape[-1] == 3
    flat = motion.flatten(-2) if apart else motion  # (..., D)
    sources, signs = _table(name, flat.shape[-1])
    sources, signs = moved(sources, motion.device), moved(signs.to(motion.dtype), motion.device)  # (D,) each
    return (flat.index_select(-1, sources) * signs).reshape(motion.shape)


@cache
def _table(name: str, width: int) -> tuple[Tensor, Tensor]:
    """Of each mirrored feature: which one it was, and whether its sign turns over, (D,) int64 and (D,) of -1 and 1."""
    mirrored = _mirrored(torch.arange(1, width + 1, dtype=torch.float64), name)  # (D,)
    return mirrored.abs().long() - 1, mirrored.sign()


def _mirrored(motion: Tensor, name: str) -> Tensor:
    if name == KINEMATIC:
        return _mirror_kinematic(motion)
    if name == JOINTS:
        return mirror_joints(motion.unflatten(-1, (-1, 3))).flatten(-2)
    if name in (ROTATION, HYMOTION):
        parts = [_signed(motion[..., :3], (-1, 1, 1)), _mirror_sixd(motion[..., 3:135])]
        if name == HYMOTION:
            parts.append(_mirrored(motion[..., 135:], JOINTS))
        return torch.cat(parts, dim=-1)
    if name == FLOWMDM:
        return torch.cat((_signed(motion[..., :3], (1, -1, 1)), _mirror_sixd(motion[..., 3:])), dim=-1)
    if name == KIMODO:
        return _mirror_kimodo(motion)
    raise UserError(f"{name} motions cannot be mirrored.")


def _mirror_kinematic(features: Tensor) -> Tensor:
    skeleton = skeleton_of(features.shape[-1])
    places = blocks(skeleton)
    order = list(skeleton.mirror_order)
    body = [joint - 1 for joint in order[1:]]
    positions = features[..., places["positions"]].unflatten(-1, (-1, 3))[..., body, :]  # (..., J - 1, 3)
    rotations = features[..., places["rotations"]].unflatten(-1, (-1, 6))[..., body, :]  # (..., J - 1, 6)
    velocities = features[..., places["velocities"]].unflatten(-1, (-1, 3))[..., order, :]  # (..., J, 3)
    parts = (
        _signed(features[..., :4], (-1, -1, 1, 1)),
        _signed(positions, (-1, 1, 1)).flatten(-2),
        _signed(rotations, _COLUMNS).flatten(-2),
        _signed(velocities, (-1, 1, 1)).flatten(-2),
        features[..., places["contacts"]][..., [2, 3, 0, 1]],
    )
    return torch.cat(parts, dim=-1)


def _mirror_kimodo(features: Tensor) -> Tensor:
    """SOMA's own sides differ by up to 3 mm, so mirrored positions are that far from what mirrored rotations give."""
    skeleton = skeleton_of_features(features.shape[-1])
    order = [skeleton.names.index(_other_side(name)) for name in skeleton.names]
    parts = KimodoFeatures(features)
    vectors = [
        _signed(block[..., order, :], (-1, 1, 1)).flatten(-2) for block in (parts.positions, parts.velocities)
    ]
    rotations = _signed(parts.sixd[..., order, :], _COLUMNS).flatten(-2)  # (..., 6 J)
    root = _signed(features[..., :5], (-1, 1, 1, 1, -1))
    return torch.cat((root, vectors[0], rotations, vectors[1], features[..., -4:][..., [2, 3, 0, 1]]), dim=-1)


def _other_side(name: str) -> str:
    for left, right in (("Left", "Right"), ("left", "right")):
        if left in name:
            return name.replace(left, right)
        if right in name:
            return name.replace(right, left)
    return name


def _mirror_sixd(sixd: Tensor) -> Tensor:
    swapped = sixd.unflatten(-1, (22, 6))[..., list(SMPL22.mirror_order), :]  # (..., 22, 6)
    return _signed(swapped, _INTERLEAVED).flatten(-2)


def _signed(values: Tensor, signs: tuple[float, ...]) -> Tensor:
    return values * values.new_tensor(signs)
