"""Two motions at once: the arms of one over the body of another, such as waving while walking.

Arms hang on the chest. They are taken with their collars as they stand to the chest they were recorded on, turned as far
as the shoulders of the two bodies differ. They fade in, and out again where the body goes on for longer.
"""

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.join import BLEND, bone_lengths, with_lengths
from motionrft.representations.kinematic import skeleton_of_joints
from motionrft.rotations import yaw_rotate
from motionrft.skeleton import Skeleton

MOST_TRAVEL = 0.5
"""Metres on the floor that the body of the arms may move: arms of a walk belong to its own steps."""
MOST_SINKING = 0.15
"""Metres that its pelvis may sink or rise: whoever bows, sits or jumps does it with the whole body."""


def meanwhile(body: Tensor, arms: Tensor, blend: int = BLEND) -> Tensor:
    """The first motion with the arms of the second from its beginning on.

    Args:
        body, arms: (T, J, 3) and (U, J, 3) metres, Y up, at one frame rate and of one skeleton.
        blend: frames in which the arms pass from the one into the other.

    Returns:
        (T, J, 3): root, legs, trunk and head are the first motion's.

    Raises:
        UserError: another skeleton, fewer frames than two blends, or a second motion that its arms are not all of.
    """
    if body.shape[1] != arms.shape[1]:
        raise UserError(
            "motions of different skeletons cannot be laid over each other: convert them to joints first."
        )
    frames = min(len(body), len(arms))
    if frames <= 2 * blend:
        raise UserError(f"{frames} frames in common; arms over a body take more than {2 * blend}.")
    if not stands(arms):
        raise UserError(
            "the second motion moves its whole body (it travels, bows, sits or jumps): arms alone would not show it."
        )
    skeleton = skeleton_of_joints(body.shape[1])
    chest, moving = _arms(skeleton)
    turn = _across(body[:frames], skeleton) - _across(arms[:frames], skeleton)  # (T',)
    hung = arms[:frames] - arms[:frames, chest : chest + 1]
    placed = body[:frames].clone()
    placed[:, moving] = body[:frames, chest : chest + 1] + yaw_rotate(turn[:, None], hung)[:, moving]
    share = _shares(frames, blend, out=len(body) > frames).to(body)[:, None, None]  # (T', 1, 1)
    mixed = torch.lerp(body[:frames], placed, share)
    lengths = torch.lerp(bone_lengths(body[:frames], skeleton), bone_lengths(placed, skeleton), share)
    return torch.cat((with_lengths(mixed, lengths, skeleton), body[frames:]))


def stands(joints: Tensor) -> bool:
    """Whether a motion (T, J, 3) stays where it is, so that its arms are what it shows."""
    root = joints[:, 0]
    travel = (root - root[:1])[:, [0, 2]].norm(dim=-1).max()
    return bool(travel <= MOST_TRAVEL and (root[:, 1] - root[0, 1]).abs().max() <= MOST_SINKING)


def _arms(skeleton: Skeleton) -> tuple[int, list[int]]:
    """The joint that both arms hang on, and all joints beyond it towards the hands."""
    paths = []
    for shoulder in skeleton.facing[2:]:
        path = [shoulder]
        while skeleton.parents[path[-1]] >= 0:
            path.append(skeleton.parents[path[-1]])
        paths.append(path)
    chest = next(joint for joint in paths[0] if joint in paths[1])
    moving = {path[path.index(chest) - 1] for path in paths}
    for joint, parent in enumerate(skeleton.parents):
        if parent in moving:
            moving.add(joint)
    return chest, sorted(moving)


def _across(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """(T,) yaw of the line from shoulder to shoulder."""
    right, left = skeleton.facing[2:]
    across = joints[:, right] - joints[:, left]  # (T, 3)
    return torch.atan2(across[:, 2], -across[:, 0])


def _shares(frames: int, blend: int, out: bool) -> Tensor:
    """(frames,) of the second motion's arms: rising at the beginning, and falling at the end where they end first."""
    share = torch.ones(frames)
    if blend:
        ramp = torch.linspace(0, 1, blend + 2)[1:-1]
        ramp = ramp * ramp * (3 - 2 * ramp)
        share[:blend] = ramp
        if out:
            share[-blend:] = ramp.flip(0)
    return share
