"""Clips put after each other: one motion that does one thing and then another.

Each clip is turned and moved until it goes on where the one before it stands: same heading, and on the same spot the
left foot, the right foot or both, whichever lets planted feet slide least. Over a short overlap both are faded into each
other, and every bone keeps a length between its two.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.kinematic import skeleton_of_joints
from motionrft.rotations import yaw_rotate
from motionrft.skeleton import Skeleton

BLEND = 8
"""Frames of overlap: 0.4 s at 20 fps."""


def join(clips: Sequence[Tensor], blend: int = BLEND) -> Tensor:
    """Put clips after each other.

    Args:
        clips: each (T_i, J, 3) metres, Y up, at one frame rate.
        blend: frames that the end of a clip shares with the beginning of the next.

    Returns:
        (sum of T_i - (number of clips - 1) * blend, J, 3), in the first clip's frame.

    Raises:
        UserError: no clip, clips of different skeletons, or one that is shorter than its overlaps.
    """
    if not clips:
        raise UserError("nothing to join: name at least one motion.")
    if len({clip.shape[1] for clip in clips}) > 1:
        raise UserError("clips of different skeletons cannot be joined: convert them to joints first.")
    for number, clip in enumerate(clips, 1):
        overlaps = blend * ((number > 1) + (number < len(clips)))
        if len(clip) <= overlaps:
            raise UserError(f"clip {number} has {len(clip)} frames; joining it takes more than {overlaps}.")
    joined = clips[0]
    for clip in clips[1:]:
        joined = _append(joined, clip, blend)
    return joined


def repeated(clip: Tensor, times: int, blend: int = BLEND) -> Tensor:
    """A clip (T, J, 3) of whoever stays in place, several times, with `blend` frames of rest between two.

    Joined over an overlap, a gesture that was cut closely would not come to its end before it begins again: a hand that
    is raised twice stays up. Here nothing is cut: from its last pose the body goes on to its first.

    Returns:
        (times * T + (times - 1) * blend, J, 3)
    """
    skeleton = skeleton_of_joints(clip.shape[1])
    whole = clip
    for _ in range(times - 1):
        after = _go_on(whole, clip, 0, skeleton)
        whole = torch.cat((whole, _between(whole[-2:], after[:2], blend, skeleton), after))
    return whole


def _between(before: Tensor, after: Tensor, frames: int, skeleton: Skeleton) -> Tensor:
    """(frames, J, 3) from two last frames (2, J, 3) to two first ones: cubic, at half the speed that both have there."""
    t = torch.linspace(0, 1, frames + 2, dtype=after.dtype)[1:-1, None, None]  # (frames, 1, 1)
    leaving, arriving = ((pair[1] - pair[0]) * (frames + 1) / 2 for pair in (before, after))  # (J, 3) each
    share = t * t * (3 - 2 * t)
    moved = t * (1 - t) ** 2 * leaving - t * t * (1 - t) * arriving
    lengths = torch.lerp(bone_lengths(before[-1:], skeleton), bone_lengths(after[:1], skeleton), share)
    return with_lengths(torch.lerp(before[-1:], after[:1], share) + moved, lengths, skeleton)


def _append(before: Tensor, after: Tensor, blend: int) -> Tensor:
    """(T, J, 3) and (U, J, 3) to (T + U - blend, J, 3)."""
    skeleton = skeleton_of_joints(after.shape[1])
    after = _go_on(before, after, blend, skeleton)
    if blend == 0:
        return torch.cat((before, after))
    share = _shares(blend, after)
    lengths = torch.lerp(
        bone_lengths(before[-blend:], skeleton), bone_lengths(after[:blend], skeleton), share
    )
    mixed = with_lengths(_mixed(before, after, blend), lengths, skeleton)
    return torch.cat((before[:-blend], mixed, after[blend:]))


def _shares(blend: int, like: Tensor) -> Tensor:
    """(blend, 1, 1) of the next clip in each frame of the overlap."""
    share = torch.linspace(0, 1, blend + 2, dtype=like.dtype)[1:-1, None, None]
    return share * share * (3 - 2 * share)


def _mixed(before: Tensor, after: Tensor, blend: int) -> Tensor:
    """(blend, J, 3) of the overlap."""
    return torch.lerp(before[-blend:], after[:blend], _shares(blend, after))


def _go_on(before: Tensor, after: Tensor, blend: int, skeleton: Skeleton) -> Tensor:
    """`after` turned and moved: in the middle of the overlap it faces and stands as `before` does."""
    middle = blend // 2
    old, new = before[len(before) - max(blend - middle, 1)], after[middle]  # (J, 3)
    turned = yaw_rotate(_facing(old, skeleton) - _facing(new, skeleton), after)
    feet = list(skeleton.feet)
    placed = [
        turned + (_standing(old, feet) - _standing(turned[middle], feet)) * after.new_tensor([1.0, 0.0, 1.0])
        for feet in (feet, feet[:2], feet[2:])  # both, one, the other
    ]
    if blend == 0:
        return placed[0]
    return min(placed, key=lambda moved: _sliding(before, moved, blend, feet))


def _sliding(before: Tensor, after: Tensor, blend: int, feet: list[int]) -> float:
    """Metres on the floor that the slowest joint of the feet covers from before the overlap to its end."""
    frames = torch.cat((before[-blend - 1 : -blend], _mixed(before, after, blend), after[blend : blend + 1]))
    steps = frames[:, feet][..., [0, 2]].diff(dim=0).norm(dim=-1)  # (blend + 1, 4)
    return float(steps.amin(1).sum())


def _facing(pose: Tensor, skeleton: Skeleton) -> Tensor:
    """Yaw () of a pose (J, 3): the turn about Y that takes +Z to where it faces."""
    a, b, c, d = skeleton.facing
    across = pose[a] - pose[b] + pose[c] - pose[d]  # (3,) to the body's right
    return torch.atan2(across[2], -across[0])


def _standing(pose: Tensor, feet: list[int]) -> Tensor:
    """(3,) the middle of these joints of a pose, the lower ones counting more: a planted foot stays where it is."""
    placed = pose[feet]  # (F, 3)
    weight = torch.softmax(-placed[:, 1] / 0.02, dim=0)
    return (weight[:, None] * placed).sum(0)


def bone_lengths(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """(T, J, 1) bone lengths, 0 for the root."""
    parents = [max(parent, 0) for parent in skeleton.parents]
    return (joints - joints[:, parents]).norm(dim=-1, keepdim=True)


def with_lengths(joints: Tensor, lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """(T, J, 3) with the same root and bone directions, but these bone lengths (T, J, 1)."""
    placed = list(joints.unbind(1))
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            bone = joints[:, joint] - joints[:, parent]  # (T, 3)
            unit = bone / bone.norm(dim=-1, keepdim=True).clamp(min=1e-8)
            placed[joint] = placed[parent] + unit * lengths[:, joint]
    return torch.stack(placed, dim=1)
