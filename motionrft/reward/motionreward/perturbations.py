"""Faults of known kind and graded strength, put into real motion: what preference pairs are made of.

Each takes joints (T, J, 3) in metres in the canonical frame, of SMPL-22 or KIT-21, a strength in [0, 1], a random
generator and the frame rate, and returns joints of the same shape; strength 0 changes nothing. Draws do not depend on
the strength, so two strengths of one seed are the same fault, once faint and once plain.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from motionrft.skeleton import KIT21, SMPL22

Perturbation = Callable[[Tensor, float, torch.Generator, float], Tensor]

FPS = 20.0
_UP = torch.tensor([0.0, 1.0, 0.0])  # (3,)
_LIMBS = {
    SMPL22.joints: {4: (7, 10), 5: (8, 11), 18: (20,), 19: (21,)},
    KIT21.joints: {12: (13, 14, 15), 17: (18, 19, 20), 6: (7,), 9: (10,)},
}
"""Knees and elbows of each skeleton, and the joints that hang on them."""


def jitter(joints: Tensor, strength: float, draws: torch.Generator, fps: float = FPS) -> Tensor:
    """Every joint trembles: noise of up to 4 cm a frame."""
    return joints + 0.04 * strength * torch.randn(joints.shape, generator=draws)  # (T, J, 3)


def foot_skating(joints: Tensor, strength: float, draws: torch.Generator, fps: float = FPS) -> Tensor:
    """The whole body drifts over the floor while the feet do not step: up to 1 m/s in waves."""
    angle = 2 * math.pi * torch.rand((), generator=draws)
    period = 1.0 + 2.0 * torch.rand((), generator=draws)  # seconds
    time = torch.arange(len(joints)) / fps  # (T,) seconds
    # The integral of a speed that waves around its mean.
    way = strength * (time - period / (2 * math.pi) * torch.sin(2 * math.pi * time / period)) / 2
    direction = torch.stack((torch.cos(angle), torch.zeros(()), torch.sin(angle)))  # (3,)
    return joints + (way[:, None] * direction)[:, None]  # (T, J, 3)


def time_warp(joints: Tensor, strength: float, draws: torch.Generator, fps: float = FPS) -> Tensor:
    """Time stands still and rushes: the same poses, on an uneven clock."""
    frames = len(joints)
    speed = torch.exp(2.5 * strength * _smooth_noise(frames - 1, 12, draws))  # (T - 1,)
    clock = torch.cat((torch.zeros(1), speed.cumsum(0)))  # (T,)
    return _at_times(joints, clock / clock[-1].clamp(min=1e-6) * (frames - 1))  # (T, J, 3)


def joint_limits(joints: Tensor, strength: float, draws: torch.Generator, fps: float = FPS) -> Tensor:
    """A knee or an elbow bends the wrong way, by up to 100 degrees, for a while."""
    limbs = _LIMBS[joints.shape[1]]
    pivot = list(limbs)[int(torch.randint(len(limbs), (), generator=draws))]
    limb = torch.nn.functional.normalize((joints[:, limbs[pivot][0]] - joints[:, pivot]).mean(0), dim=0)
    axis = torch.randn(3, generator=draws)  # (3,)
    # A turn about the limb's own direction would hardly show.
    axis = torch.nn.functional.normalize(axis - (axis @ limb) * limb, dim=0)  # (3,)
    angle = strength * 1.75 * _window(len(joints), draws)  # (T,) radians
    bent = joints.clone()  # (T, J, 3)
    for joint in limbs[pivot]:
        arm = joints[:, joint] - joints[:, pivot]  # (T, 3)
        bent[:, joint] = joints[:, pivot] + _turned(arm, axis, angle)
    return bent  # (T, J, 3)


def cut_and_paste(joints: Tensor, strength: float, draws: torch.Generator, fps: float = FPS) -> Tensor:
    """A piece is replaced by a piece from another moment; the seams jump in full or in part."""
    frames = len(joints)
    size = max(2, frames // 3)
    here, there = (int(torch.randint(frames - size + 1, (), generator=draws)) for _ in range(2))
    if abs(here - there) < size // 2:
        there = frames - size - there
    pasted = joints.clone()  # (T, J, 3)
    piece = joints[there : there + size]  # (size, J, 3)
    pasted[here : here + size] = torch.lerp(joints[here : here + size], piece, strength)
    return pasted  # (T, J, 3)


def floating(joints: Tensor, strength: float, draws: torch.Generator, fps: float = FPS) -> Tensor:
    """The body leaves the floor without a jump, by up to 40 cm, or sinks half as deep, and comes back."""
    height = torch.tensor(0.4) if torch.rand((), generator=draws) < 0.5 else torch.tensor(-0.2)
    lift = strength * height * _window(len(joints), draws)  # (T,) metres
    return joints + (lift[:, None] * _UP)[:, None]  # (T, J, 3)


PERTURBATIONS: dict[str, Perturbation] = {
    "jitter": jitter,
    "foot_skating": foot_skating,
    "time_warp": time_warp,
    "joint_limits": joint_limits,
    "cut_and_paste": cut_and_paste,
    "floating": floating,
}
"""Every kind by name: one line each."""


def _window(frames: int, draws: torch.Generator) -> Tensor:
    """(T,) a raised cosine over a random half of the clip or more, 0 at its ends."""
    share = 0.5 + 0.5 * torch.rand((), generator=draws)
    start = (1 - share) * torch.rand((), generator=draws)
    place = (torch.arange(frames) / max(frames - 1, 1) - start) / share  # (T,)
    return torch.where((place >= 0) & (place <= 1), 0.5 - 0.5 * torch.cos(2 * math.pi * place), 0.0)  # (T,)


def _smooth_noise(frames: int, knots: int, draws: torch.Generator) -> Tensor:
    """(T,) standard normal values at knots, linear in between."""
    values = torch.randn(1, 1, knots, generator=draws)  # (1, 1, knots)
    return torch.nn.functional.interpolate(values, size=frames, mode="linear", align_corners=True)[0, 0]


def _at_times(joints: Tensor, times: Tensor) -> Tensor:
    """Joints at fractional frames (T,), linear in between."""
    before = times.floor().long().clamp(0, len(joints) - 1)  # (T,)
    after = (before + 1).clamp(max=len(joints) - 1)  # (T,)
    return torch.lerp(joints[before], joints[after], (times - before)[:, None, None])  # (T, J, 3)


def _turned(vectors: Tensor, axis: Tensor, angle: Tensor) -> Tensor:
    """Vectors (T, 3) turned about one axis by angles (T,): Rodrigues' formula."""
    cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
    along = (vectors @ axis)[:, None] * axis
    return (
        vectors * cosine + torch.linalg.cross(axis.expand_as(vectors), vectors) * sine + along * (1 - cosine)
    )
