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
    relative_sixd,
    shortest_arc,
    take,
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
    p, _ = _normalise(_joints_first(joints), lengths, target_offsets, skeleton)  # (J, B, T, 3)
    return p.movedim(0, 2) if lengths is None else zero_padding(p.movedim(0, 2), lengths)


def _joints_first(joints: Tensor) -> Tensor:
    """(B, T, J, 3) as (J, B, T, 3) in planar memory: a joint's track is one piece, and angles (B, T) fit all joints."""
    return planar(joints.movedim(2, 0))  # (J, B, T, 3)


def _normalise(
    p: Tensor, lengths: Tensor | None, offsets: Tensor | None, skeleton: Skeleton
) -> tuple[Tensor, Tensor]:
    """`normalise_joints` on (J, B, T, 3), and the bones' directions (J - 1, B, T, 3); padding comes out as anything."""
    bones = _bones(p, skeleton)  # (J - 1, B, T, 3)
    directions = _directions(bones, skeleton)  # (J - 1, B, T, 3)
    offsets = (skeleton.target_offsets if offsets is None else offsets).to(p)  # (J, 3)
    p = _uniform_skeleton(p[:1], bones, directions, offsets, skeleton)  # (J, B, T, 3)
    height = p[..., 1].amin(0)  # (B, T)
    if lengths is not None:
        height = height.masked_fill(~length_mask(lengths, p.shape[2]), torch.inf)
    start = p[0, :, 0]  # (B, 3)
    origin = torch.stack((start[:, 0], height.amin(-1), start[:, 2]), dim=-1)  # (B, 3)
    a, b, c, d = skeleton.facing
    first = p[:, :, 0]  # (J, B, 3)
    angle = _facing_angle(first[a] - first[b] + first[c] - first[d])  # (B,)
    return yaw_rotate(angle[:, None], p - origin[:, None]), yaw_rotate(angle[:, None], directions)


def _uniform_skeleton(
    root: Tensor, bones: Tensor, directions: Tensor, offsets: Tensor, skeleton: Skeleton
) -> Tensor:
    """Keep every bone's direction, give it the target's length, and scale the root's path by the legs' ratio.

    Forward kinematics of the official inverse kinematics comes to exactly this, since each bone's rotation turns its
    rest direction onto its own direction.
    """
    lengths = length(bones[:, :, 0])  # (J - 1, B) of the first frame
    l1, l2 = skeleton.legs
    source_legs = lengths[l1 - 1] + lengths[l2 - 1]  # (B,)
    target_legs = offsets[l1].abs().max() + offsets[l2].abs().max()
    # A skeleton without legs (an all-zero motion) keeps its scale.
    some = source_legs > 1e-12
    scale = torch.where(some, target_legs / source_legs.clamp_min(1e-12), torch.ones_like(source_legs))
    root = root * scale[:, None, None]  # (1, B, T, 3)
    target = directions * offsets[1:].norm(dim=-1)[:, None, None, None]  # (J - 1, B, T, 3)
    # One matrix product a coordinate, (J, J - 1) x (J - 1, B T), adds up the bones on every joint's path.
    paths = skeleton.ancestry[1:].T.to(root)  # (J, J - 1)
    with torch.autocast(root.device.type, enabled=False):
        body = paths @ target.movedim(-1, 0).flatten(2)  # (3, J, B T)
    return body.unflatten(-1, root.shape[1:3]).movedim(0, -1) + root  # (J, B, T, 3)


def _bones(p: Tensor, skeleton: Skeleton) -> Tensor:
    """Bone vectors (J - 1, B, T, 3) of joints (J, B, T, 3)."""
    return p[1:] - take(p, skeleton.parents[1:])  # (J - 1, B, T, 3)


def _directions(bones: Tensor, skeleton: Skeleton) -> Tensor:
    """Unit bones (J - 1, B, T, 3); one without length (an all-zero motion) counts as resting."""
    rest = planar(skeleton.rest_directions[1:].to(bones))[:, None, None]  # (J - 1, 1, 1, 3)
    square = dot(bones, bones)  # (J - 1, B, T)
    unit = bones * square.clamp_min(1e-24).rsqrt().unsqueeze(-1)  # (J - 1, B, T, 3)
    return torch.where((square > 1e-24).unsqueeze(-1), unit, rest)  # (J - 1, B, T, 3)


def _facing_angle(across: Tensor) -> Tensor:
    """Yaw (...) that turns `Y x across` (..., 3) to +Z; zero where the person is degenerate."""
    # forward = Y x across = (z, 0, -x) of across; the angle from forward to +Z is atan2(-forward_x, forward_z).
    return _angle(-across[..., 2], -across[..., 0])


def _angle(sine: Tensor, cosine: Tensor) -> Tensor:
    degenerate = (sine == 0) & (cosine == 0)
    return torch.atan2(sine, torch.where(degenerate, torch.ones_like(cosine), cosine))


def _heading(p: Tensor, lengths: Tensor | None, skeleton: Skeleton, smooth: bool = True) -> Tensor:
    a, b, c, d = skeleton.facing
    # The hips enter with the opposite sign of `normalise_joints`: an oddity of the official code, part of all data.
    across = normalise(p[b] - p[a] + p[c] - p[d])  # (B, T, 3)
    x, z = across[..., 0], across[..., 2]  # (B, T) each
    if smooth:
        x, z = _smooth(torch.stack((x, z)), lengths)
    angle = _angle(-z, -x)  # (B, T)
    return torch.cat((torch.zeros_like(angle[:, :1]), angle[:, 1:]), dim=1)  # (B, T)


def _smooth(signal: Tensor, lengths: Tensor | None) -> Tensor:
    """Gaussian filter along the last axis of (C, B, T), each clip's first and last frame repeated beyond its ends."""
    channels, batch, frames = signal.shape
    index = torch.arange(-SMOOTHING_RADIUS, frames + SMOOTHING_RADIUS, device=signal.device)
    last = torch.full((batch,), frames, device=signal.device) if lengths is None else lengths
    index = index[None].clamp(min=0).minimum(last[:, None] - 1)  # (B, T + 2 radius)
    padded = signal.gather(-1, index.expand(channels, -1, -1))  # (C, B, T + 2 radius)
    offsets = torch.arange(-SMOOTHING_RADIUS, SMOOTHING_RADIUS + 1, device=signal.device, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / SMOOTHING_SIGMA) ** 2)  # (2 radius + 1,)
    kernel = (kernel / kernel.sum()).to(signal.dtype)
    with torch.autocast(signal.device.type, enabled=False):
        smoothed = F.conv1d(padded.reshape(channels * batch, 1, -1), kernel[None, None])  # (C B, 1, T)
    return smoothed.reshape(channels, batch, frames)  # (C, B, T)


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
    p = _joints_first(joints)  # (J, B, T, 3)
    if canonical:
        p, directions = _normalise(p, lengths, target_offsets, skeleton)
    else:
        directions = _directions(_bones(p, skeleton), skeleton)  # (J - 1, B, T, 3)
    threshold = skeleton.contact_threshold if contact_threshold is None else contact_threshold
    angle = _heading(p, lengths, skeleton)  # (B, T)
    step, now = p[:, :, 1:] - p[:, :, :-1], angle[:, :-1].contiguous()  # (J, B, T - 1, 3), (B, T - 1)
    feet = take(step, skeleton.feet)  # (4, B, T - 1, 3)
    # Whole tracks are computed and their last frame dropped after: unbroken memory is worth more than a frame.
    local = yaw_rotate(angle, p - p[:1] * p.new_tensor([1, 0, 1]))[:, :, :-1]
    rotations = _chain_rotations(directions, angle, skeleton)[:, :, :-1]  # (J - 1, B, T - 1, 6)
    parts = (
        yaw_velocity(angle, official_yaw)[None, :, :, None],
        yaw_rotate(angle[:, 1:], step[:1])[..., ::2],
        local[:1, ..., 1:2],
        local[1:],
        rotations,
        yaw_rotate(now, step),
        (dot(feet, feet) < threshold).to(p.dtype).unsqueeze(-1),
    )
    planes = torch.cat([part.movedim(-1, 1).flatten(0, 1) for part in parts])  # (D, B, T - 1)
    features = planes.flatten(1).T.contiguous().unflatten(0, planes.shape[1:])  # (B, T - 1, D)
    return features if lengths is None else zero_padding(features, lengths - 1)


def yaw_velocity(angle: Tensor, official: bool = False) -> Tensor:
    """Half the step of the heading angle: (B, T) -> (B, T - 1), range +-pi/2.

    It is the y component's arcsine of r[t+1] r[t]^-1. The official code takes all r with w >= 0, so that a heading that
    crosses straight backwards gets that one step with the wrong sign, and everything after it is recovered with a
    heading off by twice the step (up to ten degrees in ordinary turns). Here the nearer of the two quaternions is taken,
    unless `official`.
    """
    half = (angle[:, 1:] - angle[:, :-1]) / 2  # (B, T - 1)
    if official:
        return torch.asin(torch.sin(half))
    return half - torch.pi * torch.round(half / torch.pi)


def _chain_rotations(directions: Tensor, angle: Tensor, skeleton: Skeleton) -> Tensor:
    """6D (J - 1, B, T, 6) of every joint's rotation relative to the joint before it on its chain."""
    rest = planar(skeleton.rest_directions[1:].to(directions))[:, None, None]
    world = shortest_arc(rest, directions)  # (J - 1, B, T, 4)
    heading = yaw_quaternion(angle)[None]  # (1, B, T, 4)
    known = torch.cat((heading.movedim(-1, 0), world.movedim(-1, 0)), dim=1).movedim(0, -1)  # (J, B, T, 4)
    before = take(known, skeleton.chain_parents[1:])  # (J - 1, B, T, 4)
    return relative_sixd(before, world, "columns")  # (J - 1, B, T, 6)


def integrate_root(features: Tensor) -> tuple[Tensor, Tensor]:
    """The heading (B, T), radians from world to body, and the root's path (B, T, 3) that the velocities add up to."""
    half = features[..., 0]  # (B, T)
    angle = 2 * torch.cat((torch.zeros_like(half[:, :1]), half[:, :-1].cumsum(1)), dim=1)
    zero = torch.zeros_like(half[:, 1:])
    step = torch.stack((features[:, :-1, 1], zero, features[:, :-1, 2]), dim=-1)  # (B, T - 1, 3)
    step = yaw_rotate(-angle[:, 1:], step)  # (B, T - 1, 3)
    path = torch.cat((torch.zeros_like(features[:, :1, :3]), step.cumsum(1)), dim=1)  # (B, T, 3)
    return angle, torch.stack((path[..., 0], features[..., 3], path[..., 2]), dim=-1)  # (B, T), (B, T, 3)


def kinematic_to_joints(features: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Kinematic features back to joints, from the position block: exact, differentiable.

    Args:
        features: (B, T, 263) or (B, T, 251), de-normalised.
        lengths: (B,) valid frames; frames beyond come out as zeros.

    Returns:
        (B, T, J, 3), metres.
    """
    skeleton = skeleton_of(features.shape[-1])
    angle, root = integrate_root(features)  # (B, T), (B, T, 3)
    local = features[..., blocks(skeleton)["positions"]].unflatten(-1, (-1, 3))  # (B, T, J - 1, 3)
    turned = yaw_rotate(-angle.unsqueeze(-1), local)  # (B, T, J - 1, 3)
    planar_root = torch.stack((root[..., 0], torch.zeros_like(root[..., 1]), root[..., 2]), dim=-1)
    joints = torch.cat((root.unsqueeze(2), turned + planar_root.unsqueeze(2)), dim=2)  # (B, T, J, 3)
    return joints if lengths is None else zero_padding(joints, lengths)
