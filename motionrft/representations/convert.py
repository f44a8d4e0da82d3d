"""From any representation to any other, over a small graph of conversions; those that lose something say what."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.flowmdm import flowmdm_to_rotation, rotation_to_flowmdm
from motionrft.representations.hymotion import hymotion_to_rotation, rotation_to_hymotion
from motionrft.representations.kimodo.ours import kimodo_to_joints, kimodo_to_rotation, rotation_to_kimodo
from motionrft.representations.kinematic import joints_to_kinematic, kinematic_to_joints
from motionrft.representations.names import (
    FLOWMDM,
    HYMOTION,
    JOINTS,
    KIMODO,
    KINEMATIC,
    ROTATION,
    representation_name,
)
from motionrft.representations.retargeting import joints_to_default_rotation
from motionrft.representations.rotation import joints_to_rotation, rotation_to_joints

Lengths = Tensor | None


@dataclass(frozen=True)
class Constants:
    """What a conversion may need beside the motion; None stands for the default skeleton.

    rest_joints: (22, 3) or (B, 22, 3), rest pose of rotations. target_offsets: (J, 3), bones of kinematic features.
    """

    rest_joints: Tensor | None = None
    target_offsets: Tensor | None = None


@dataclass(frozen=True)
class Edge:
    """One direct conversion. loses: in words, "" where it is exact. frames: how many fewer come out."""

    apply: Callable[[Tensor, Lengths, Constants], Tensor]
    loses: str = ""
    frames: int = 0


def _smpl(joints: Tensor) -> Tensor:
    joints = _joint_axis(joints)
    if joints.shape[-2] != 22:
        raise UserError(f"{joints.shape[-2]} joints a frame: rotations are of the 22 SMPL joints.")
    return joints


def _joint_axis(joints: Tensor) -> Tensor:
    """Accept flat joints (B, T, 66) for (B, T, 22, 3)."""
    return joints if joints.dim() == 4 else joints.unflatten(-1, (-1, 3))


def _fit_rotation(joints: Tensor, lengths: Lengths, rest_joints: Tensor | None) -> Tensor:
    """(B, T, 135): on the given skeleton (22, 3) as they are, on the default one with a path that fits its legs."""
    if rest_joints is None:
        return joints_to_default_rotation(joints, lengths)
    return joints_to_rotation(joints, rest_joints, lengths)


EDGES: dict[tuple[str, str], Edge] = {
    (KINEMATIC, JOINTS): Edge(lambda x, n, c: kinematic_to_joints(x, n)),
    (JOINTS, KINEMATIC): Edge(
        lambda x, n, c: joints_to_kinematic(_joint_axis(x), n, c.target_offsets),
        loses="body shape, place and facing in the world, the last frame",
        frames=1,
    ),
    (JOINTS, ROTATION): Edge(
        lambda x, n, c: _fit_rotation(_smpl(x), n, c.rest_joints),
        loses="body shape, unless the rest pose is given; the twist of limbs is a guess",
    ),
    (ROTATION, JOINTS): Edge(
        lambda x, n, c: rotation_to_joints(x, c.rest_joints, n), loses="the twist of limbs"
    ),
    (ROTATION, HYMOTION): Edge(lambda x, n, c: rotation_to_hymotion(x, c.rest_joints, n)),
    (HYMOTION, ROTATION): Edge(lambda x, n, c: hymotion_to_rotation(x, n)),
    (ROTATION, FLOWMDM): Edge(
        lambda x, n, c: rotation_to_flowmdm(x, n), loses="the place where the motion starts"
    ),
    (FLOWMDM, ROTATION): Edge(lambda x, n, c: flowmdm_to_rotation(x, n)),
    (KIMODO, JOINTS): Edge(
        lambda x, n, c: kimodo_to_joints(x, n, c.rest_joints), loses="joints that are not ours, and the twist"
    ),
    (KIMODO, ROTATION): Edge(
        lambda x, n, c: kimodo_to_rotation(x, n, c.rest_joints),
        loses="joints that are not ours, and the bones",
    ),
    (ROTATION, KIMODO): Edge(
        lambda x, n, c: rotation_to_kimodo(x, n), loses="body shape, place and facing in the world"
    ),
}
"""The graph. A new representation is a name and the edges that tie it to its nearest relative."""


def route(source: str, target: str) -> list[tuple[str, str]]:
    """The edges from source to target, fewest first; empty if they are the same.

    Raises:
        UserError: a name is unknown.
    """
    source, target = representation_name(source), representation_name(target)
    came_from: dict[str, str | None] = {source: None}
    queue = deque([source])
    while queue:
        here = queue.popleft()
        for start, end in EDGES:
            if start == here and end not in came_from:
                came_from[end] = here
                queue.append(end)
    path = []
    while (before := came_from[target]) is not None:
        path.append((before, target))
        target = before
    return path[::-1]


def convert(
    motion: Tensor,
    source: str,
    target: str,
    lengths: Tensor | None = None,
    rest_joints: Tensor | None = None,
    target_offsets: Tensor | None = None,
) -> Tensor:
    """Convert a batch of motions; differentiable wherever the mathematics is.

    Args:
        motion: (B, T, D), joints (B, T, J, 3) or flat (B, T, 66); de-normalised.
        source, target: names or aliases, see `names`.
        lengths: (B,) valid frames; all of T if None. `converted_lengths` gives those of the result.
        rest_joints: (22, 3) or (B, 22, 3) for rotations; our T-pose if None.
        target_offsets: (J, 3) for kinematic features; HumanML3D's skeleton if None.

    Returns:
        The motion in `target`, joints as (B, T, J, 3), zeros beyond the lengths.

    Raises:
        UserError: an unknown name, or a width that the source does not have.
    """
    constants = Constants(rest_joints, target_offsets)
    with torch.autocast(motion.device.type, enabled=False):
        for step in route(source, target):
            edge = EDGES[step]
            motion = edge.apply(motion, lengths, constants)
            lengths = None if lengths is None else lengths - edge.frames
    return motion


def converted_lengths(lengths: Tensor, source: str, target: str) -> Tensor:
    """Valid frames (B,) after the conversion: kinematic features are one frame shorter than their joints."""
    return lengths - sum(EDGES[step].frames for step in route(source, target))


def losses(source: str, target: str) -> list[str]:
    """What the conversion loses, in words, step by step; empty if it is exact."""
    return [
        f"{start} to {end}: {EDGES[start, end].loses}"
        for start, end in route(source, target)
        if EDGES[start, end].loses
    ]
