"""Made-up motions for tests: a person who walks, turns and waves, smooth and with constant bones."""

import torch
from torch import Tensor

from motionrft.representations.rotation import default_rest_joints, rotation_to_joints
from motionrft.rotations import euler_to_quaternion, quaternion_to_sixd


def rotations(frames: int, seed: int = 0, batch: int = 1, turn: float = 1.0, sway: float = 0.5) -> Tensor:
    """Random smooth rotations (B, T, 135), float64.

    Args:
        turn: radians that the body turns in all. sway: amplitude of every joint, radians.
    """
    random = torch.Generator().manual_seed(seed)

    def wave(*shape: int) -> Tensor:
        """Two slow sines with random phases, (B, T, *shape), about one high."""
        time = torch.linspace(0, frames / 20, frames, dtype=torch.float64).reshape(1, -1, *(1,) * len(shape))
        phases = 6.28 * torch.rand(2, batch, 1, *shape, generator=random, dtype=torch.float64)
        speeds = 1 + 3 * torch.rand(2, batch, 1, *shape, generator=random, dtype=torch.float64)
        return (torch.sin(speeds * time + phases)).sum(0) / 2

    angles = sway * wave(22, 3)
    angles[:, :, 0] *= 0.2
    angles[:, :, 0, 0] += torch.linspace(0, turn, frames, dtype=torch.float64)
    sixd = quaternion_to_sixd(euler_to_quaternion(angles, "YXZ"), "interleaved")
    path = torch.stack((wave(), 1.1 + 0.05 * wave(), wave()), dim=-1)
    return torch.cat((path, sixd.flatten(2)), dim=-1)


def people(frames: int, seed: int = 0, batch: int = 1, turn: float = 1.0, sway: float = 0.5) -> Tensor:
    """Joints (B, T, 22, 3), float64, metres."""
    return rotation_to_joints(rotations(frames, seed, batch, turn, sway), default_rest_joints())
