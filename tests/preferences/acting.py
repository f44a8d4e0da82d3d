"""A stick person who does what is asked: stands, raises hands, walks, turns, bows."""

import numpy as np

from motionrft.rotations import yaw_rotate
from tests.pictures.conftest import STANDING


def stand(frames: int) -> np.ndarray:
    """(T, 22, 3)"""
    return np.repeat(STANDING[None], frames, axis=0).astype(np.float64)


def raise_hand(side: str, frames: int = 30) -> np.ndarray:
    """The named hand goes over the head and comes down: `left`, `right` or `both`."""
    joints = stand(frames)
    lift = np.sin(np.linspace(0, np.pi, frames)) ** 2
    for wrist, name in ((20, "left"), (21, "right")):
        if side in (name, "both"):
            joints[:, wrist, 1] += lift * 1.0
    return joints


def walk(frames: int = 40, speed: float = 1.1) -> np.ndarray:
    """Forward, along +Z."""
    joints = stand(frames)
    joints[:, :, 2] += (speed * np.arange(frames) / 20)[:, None]
    return joints


def turn(radians: float, frames: int = 40) -> np.ndarray:
    """On the spot, left where positive."""
    import torch

    joints = torch.from_numpy(stand(frames))
    angles = torch.linspace(0, radians, frames, dtype=torch.float64)[:, None]
    return yaw_rotate(angles.expand(-1, 22), joints).numpy()


def bow(frames: int = 40) -> np.ndarray:
    """The trunk comes forward by 60 degrees and up again."""
    joints = stand(frames)
    angle = np.radians(60) * np.sin(np.linspace(0, np.pi, frames)) ** 2
    above = [3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
    height = joints[:, above, 1] - joints[:, :1, 1]
    joints[:, above, 2] += np.sin(angle)[:, None] * height
    joints[:, above, 1] = joints[:, :1, 1] + np.cos(angle)[:, None] * height
    return joints


def after(*parts: np.ndarray) -> np.ndarray:
    """One after the other, where the one before stands, with a second of standing between."""
    joined = parts[0]
    for part in parts[1:]:
        still = np.repeat(joined[-1:], 20, axis=0)
        moved = part + (joined[-1, 0] - part[0, 0]) * [1, 0, 1]
        joined = np.concatenate([joined, still, moved])
    return joined
