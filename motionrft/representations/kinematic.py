"""Kinematic features: 263 numbers a frame on SMPL-22 (HumanML3D, Guo et al. 2022), 251 on KIT-21.

| block | 263 | 251 | content |
| --- | --- | --- | --- |
| yaw | 0:1 | 0:1 | half the step of the heading, t to t + 1 |
| planar | 1:3 | 1:3 | x, z of the root's step, seen from the heading of t + 1 |
| height | 3:4 | 3:4 | y of the pelvis |
| positions | 4:67 | 4:64 | joints 1.. without root x and z, seen from the heading of t |
| rotations | 67:193 | 64:184 | joints 1.., 6D by columns, each relative to the joint before it on its chain |
| velocities | 193:259 | 184:247 | all joints, metres a frame, seen from the heading of t |
| contacts | 259:263 | 247:251 | left pair, right pair: 1 where the foot stands still |

Every bone's world rotation is the shortest arc from its rest direction to its own direction, which depends on no other
bone: what the official code computes by walking the chains is computed here for all joints and frames at once.
The heading maps world to body. Its angle comes from shoulder line minus hip line (the official sign, kept for parity)
smoothed over time, and is zero at the first frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.errors import UserError
from motionrft.lengths import length_mask, zero_padding
from motionrft.rotations import (
    dot,
    length,
    normalise,
    planar,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_to_matrix,
    quaternion_to_sixd,
    shortest_arc,
    sixd_to_matrix,
    yaw_quaternion,
    yaw_rotate,
)
from motionrft.skeleton import KIT21, SMPL22, Skeleton

SMOOTHING_SIGMA = 20.0
"""Standard deviation of the heading's Gaussian filter, frames."""
SMOOTHING_RADIUS = 80
"""Frames on either side that the filter sees: four sigma."""


def blocks(skeleton: Skeleton = SMPL22) -> dict[str, slice]:
    """Where each block of the features lies."""
    joints = skeleton.joints
    sizes = {
        "yaw": 1,
        "planar": 2,
        "height": 1,
        "positions": 3 * (joints - 1),
        "rotations": 6 * (joints - 1),
        "velocities": 3 * joints,
        "contacts": 4,
    }
    places, start = {}, 0
    for name, size in sizes.items():
        places[name] = slice(start, start + size)
        start += size
    return places


def skeleton_of(features: int) -> Skeleton:
    """The skeleton whose kinematic features are this wide."""
    for skeleton in (SMPL22, KIT21):
        if skeleton.features == features:
            return skeleton
    raise UserError(f"last axis is {features}. A kinematic motion has 263 (HumanML3D) or 251 (KIT-ML).")


def skeleton_of_joints(joints: int) -> Skeleton:
    """The skeleton with this many joints."""
    for skeleton in (SMPL22, KIT21):
        if skeleton.joints == joints:
            return skeleton
    raise UserError(f"{joints} joints a frame. A joint motion has 22 (SMPL) or 21 (KIT-ML).")


def normalise_joints(
    joints: Tensor,
    lengths: Tensor | None = None,
    target_offsets: Tensor | None = None,
) -> Tensor:
    """Bring a clip into the canonical frame: uniform skeleton, floor at y = 0, start at the origin facing +Z.

    Args:
        joints: (B, T, J, 3) raw positions, any unit (the target skeleton's unit comes out), Y up.
        lengths: (B,) valid frames; all of T if None. Padding is ignored and comes out as zeros.
        target_offsets: (J, 3) bone vectors of the target skeleton; that of HumanML3D if None.

    Returns:
        (B, T, J, 3), differentiable.
    """
    skeleton = skeleton_of_joints(joints.shape[-2])
    offsets = (skeleton.target_offsets if target_offsets is None else target_offsets).to(joints)
    p = planar(joints)
    p = _uniform_skeleton(p, offsets, skeleton)
    mask = None if lengths is None else length_mask(lengths, joints.shape[1])
    height = p[..., 1].amin(-1)
    floor = (height if mask is None else height.masked_fill(~mask, torch.inf)).amin(-1)
    start = p[:, 0, 0]
    origin = torch.stack((start[:, 0], floor, start[:, 2]), dim=-1)
    p = p - origin[:, None, None]
    a, b, c, d = skeleton.facing
    first = p[:, 0]
    angle = _facing_angle(first[:, a] - first[:, b] + first[:, c] - first[:, d])
    p = yaw_rotate(angle[:, None, None], p)
    return p if mask is None else torch.where(mask[:, :, None, None], p, 0)


def _uniform_skeleton(p: Tensor, offsets: Tensor, skeleton: Skeleton) -> Tensor:
    """Keep every bone's direction, give it the target's length, and scale the root's path by the legs' ratio.

    Forward kinematics of the official inverse kinematics comes to exactly this, since each bone's rotation turns its
    rest direction onto its own direction.
    """
    bones = p[:, :, 1:] - p[:, :, list(skeleton.parents[1:])]
    lengths = length(bones[:, 0])
    l1, l2 = skeleton.legs
    source_legs = lengths[:, l1 - 1] + lengths[:, l2 - 1]
    target_legs = offsets[l1].abs().max() + offsets[l2].abs().max()
    # A skeleton without legs (an all-zero motion) keeps its scale.
    scale = torch.where(
        source_legs > 1e-12, target_legs / source_legs.clamp_min(1e-12), torch.ones_like(source_legs)
    )
    rest = skeleton.rest_directions[1:].to(p)
    directions = normalise(bones)
    directions = torch.where((dot(bones, bones) > 0).unsqueeze(-1), directions, rest)
    target = directions * offsets[1:].norm(dim=-1, keepdim=True)
    ancestry = skeleton.ancestry[1:].to(p)
    root = p[:, :, :1] * scale[:, None, None, None]
    # Planar memory: one matrix product (3 B T, J - 1) x (J - 1, J) adds up the bones on every joint's path.
    with torch.autocast(p.device.type, enabled=False):
        body = (target.movedim(-1, 0) @ ancestry).movedim(0, -1)
    return body + root


def _facing_angle(across: Tensor) -> Tensor:
    """Yaw (...) that turns `Y x across` (..., 3) to +Z; zero where the person is degenerate."""
    # forward = Y x across = (z, 0, -x) of across; the angle from forward to +Z is atan2(-forward_x, forward_z).
    return _angle(-across[..., 2], -across[..., 0])


def _angle(sine: Tensor, cosine: Tensor) -> Tensor:
    degenerate = (sine == 0) & (cosine == 0)
    return torch.atan2(sine, torch.where(degenerate, torch.ones_like(cosine), cosine))


def heading_angles(joints: Tensor, lengths: Tensor | None = None, smooth: bool = True) -> Tensor:
    """Yaw (B, T) from the world to the heading frame of each frame, in (-pi, pi]; zero at the first frame.

    Args:
        joints: (B, T, J, 3).
        lengths: (B,) valid frames; the filter repeats each clip's own last frame.
        smooth: filter the forward direction over time, as the features do.
    """
    skeleton = skeleton_of_joints(joints.shape[-2])
    a, b, c, d = skeleton.facing
    # The hips enter with the opposite sign of `normalise_joints`: an oddity of the official code, part of all data.
    across = joints[:, :, b] - joints[:, :, a] + joints[:, :, c] - joints[:, :, d]
    x, z = across[..., 0], across[..., 2]
    norm = (across * across).sum(-1).clamp_min(torch.finfo(across.dtype).tiny).rsqrt()
    if smooth:
        x, z = _smooth(torch.stack((x * norm, z * norm)), lengths)
    angle = _angle(-z, -x)
    return torch.cat((torch.zeros_like(angle[:, :1]), angle[:, 1:]), dim=1)


def _smooth(signal: Tensor, lengths: Tensor | None) -> Tensor:
    """Gaussian filter along the last axis of (C, B, T), each clip's first and last frame repeated beyond its ends."""
    channels, batch, frames = signal.shape
    index = torch.arange(-SMOOTHING_RADIUS, frames + SMOOTHING_RADIUS, device=signal.device)
    last = torch.full((batch,), frames, device=signal.device) if lengths is None else lengths
    index = index[None].clamp(min=0).minimum(last[:, None] - 1)
    padded = signal.gather(-1, index.expand(channels, -1, -1))
    offsets = torch.arange(-SMOOTHING_RADIUS, SMOOTHING_RADIUS + 1, device=signal.device, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / SMOOTHING_SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).to(signal.dtype)
    with torch.autocast(signal.device.type, enabled=False):
        smoothed = F.conv1d(padded.reshape(channels * batch, 1, -1), kernel[None, None])
    return smoothed.reshape(channels, batch, frames)


def joints_to_kinematic(
    joints: Tensor,
    lengths: Tensor | None = None,
    target_offsets: Tensor | None = None,
    canonical: bool = True,
    contact_threshold: float | None = None,
    official_yaw: bool = False,
) -> Tensor:
    """T frames of joints to T - 1 frames of kinematic features.

    Args:
        joints: (B, T, 22, 3) or (B, T, 21, 3), T >= 2.
        lengths: (B,) valid frames, each at least 2; all of T if None. Item b has lengths[b] - 1 frames of features,
            zeros after them.
        target_offsets: (J, 3) of the target skeleton; needed for KIT-21 when `canonical`.
        canonical: run `normalise_joints` first. False takes the joints as they are (ACMDM's evaluator).
        contact_threshold: squared displacement a frame, in the joints' units; the skeleton's own if None.
        official_yaw: reproduce the official sign error of `yaw_velocity`.

    Returns:
        (B, T - 1, 263) or (B, T - 1, 251). Gradients reach everything but the contacts.

    Raises:
        UserError: fewer than two frames.
    """
    if joints.shape[1] < 2:
        raise UserError(
            "a motion of one frame has no velocities: kinematic features need at least two frames."
        )
    skeleton = skeleton_of_joints(joints.shape[-2])
    p = normalise_joints(joints, lengths, target_offsets) if canonical else planar(joints)
    threshold = skeleton.contact_threshold if contact_threshold is None else contact_threshold
    angle = heading_angles(p, lengths)
    step = p[:, 1:] - p[:, :-1]
    turned_root_step = yaw_rotate(angle[:, 1:], step[:, :, 0])
    local = _without_root_path(p[:, :-1])
    local = yaw_rotate(angle[:, :-1, None], local)
    feet = step[:, :, list(skeleton.feet)]
    parts = (
        yaw_velocity(angle, official_yaw).unsqueeze(-1),
        turned_root_step[..., ::2],
        local[:, :, 0, 1:2],
        local[:, :, 1:].flatten(2),
        _chain_rotations(p[:, :-1], angle[:, :-1], skeleton).flatten(2),
        yaw_rotate(angle[:, :-1, None], step).flatten(2),
        (dot(feet, feet) < threshold).to(p.dtype),
    )
    features = torch.cat(parts, dim=-1)
    if lengths is None:
        return features
    return zero_padding(features, lengths - 1)


def yaw_velocity(angle: Tensor, official: bool = False) -> Tensor:
    """Half the step of the heading angle: (B, T) -> (B, T - 1), range +-pi/2.

    It is the y component's arcsine of r[t+1] r[t]^-1. The official code takes all r with w >= 0, so that a heading that
    crosses straight backwards gets that one step with the wrong sign, and everything after it is recovered with a
    heading off by twice the step (up to ten degrees in ordinary turns). Here the nearer of the two quaternions is taken,
    unless `official`.
    """
    half = (angle[:, 1:] - angle[:, :-1]) / 2
    if official:
        return torch.asin(torch.sin(half))
    return half - torch.pi * torch.round(half / torch.pi)


def _without_root_path(p: Tensor) -> Tensor:
    x, y, z = p.unbind(-1)
    return torch.stack((x - x[..., :1], y, z - z[..., :1])).movedim(0, -1)


def _chain_rotations(p: Tensor, angle: Tensor, skeleton: Skeleton) -> Tensor:
    """6D (B, T, J - 1, 6) of every joint's rotation relative to the joint before it on its chain."""
    bones = p[:, :, 1:] - p[:, :, list(skeleton.parents[1:])]
    world = shortest_arc(skeleton.rest_directions[1:].to(p), normalise(bones))
    before = torch.cat((yaw_quaternion(angle).unsqueeze(2), world), dim=2)[
        :, :, list(skeleton.chain_parents[1:])
    ]
    return quaternion_to_sixd(quaternion_multiply(quaternion_conjugate(before), world), "columns")


def integrate_root(features: Tensor) -> tuple[Tensor, Tensor]:
    """The heading (B, T), radians from world to body, and the root's path (B, T, 3) that the velocities add up to."""
    half = features[..., 0]
    angle = 2 * torch.cat((torch.zeros_like(half[:, :1]), half[:, :-1].cumsum(1)), dim=1)
    zero = torch.zeros_like(half[:, 1:])
    step = torch.stack((features[:, :-1, 1], zero, features[:, :-1, 2]), dim=-1)
    step = yaw_rotate(-angle[:, 1:], step)
    path = torch.cat((torch.zeros_like(features[:, :1, :3]), step.cumsum(1)), dim=1)
    return angle, torch.stack((path[..., 0], features[..., 3], path[..., 2]), dim=-1)


def kinematic_to_joints(features: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Kinematic features back to joints, from the position block: exact, differentiable.

    Args:
        features: (B, T, 263) or (B, T, 251), de-normalised.
        lengths: (B,) valid frames; frames beyond come out as zeros.

    Returns:
        (B, T, J, 3), metres.
    """
    skeleton = skeleton_of(features.shape[-1])
    angle, root = integrate_root(features)
    local = features[..., blocks(skeleton)["positions"]].unflatten(-1, (-1, 3))
    turned = yaw_rotate(-angle.unsqueeze(-1), local)
    planar_root = torch.stack((root[..., 0], torch.zeros_like(root[..., 1]), root[..., 2]), dim=-1)
    joints = torch.cat((root.unsqueeze(2), turned + planar_root.unsqueeze(2)), dim=2)
    return joints if lengths is None else zero_padding(joints, lengths)


def kinematic_rotations_to_joints(
    features: Tensor, lengths: Tensor | None = None, target_offsets: Tensor | None = None
) -> Tensor:
    """Joints by forward kinematics of the 6D block on the target skeleton, (B, T, J, 3).

    On data it agrees with `kinematic_to_joints`; on generated features the two differ, and the position block is the
    one everyone uses.
    """
    skeleton = skeleton_of(features.shape[-1])
    offsets = (skeleton.target_offsets if target_offsets is None else target_offsets).to(features)
    angle, root = integrate_root(features)
    sixd = features[..., blocks(skeleton)["rotations"]].unflatten(-1, (-1, 6))
    local = sixd_to_matrix(sixd, "columns")
    world = [quaternion_to_matrix(yaw_quaternion(angle))]
    for joint, before in enumerate(skeleton.chain_parents[1:]):
        world.append(world[before] @ local[:, :, joint])
    places = [root]
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        places.append(places[parent] + world[joint] @ offsets[joint])
    joints = torch.stack(places, dim=2)
    return joints if lengths is None else zero_padding(joints, lengths)
