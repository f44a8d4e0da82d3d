"""Two curves under each motion that show what the eye suspects: feet that slide, and movement that shakes.

These are for looking; the numbers of record are the evaluation's.
"""

from __future__ import annotations

import numpy as np

from motionrft.pictures.body import body_of, ground_height

CONTACT_METRES = 0.06


def foot_sliding(joints: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed of the toes in m/s while they are on the floor, (T, J, 3) -> (T,).

    A toe counts fully at the floor and not at all 6 cm above it; the faster of both feet is shown.
    """
    toes = joints[:, body_of(joints).toes]
    if len(toes) < 2:
        return np.zeros(len(toes))
    velocity = np.gradient(toes, 1.0 / fps, axis=0)
    speed = np.hypot(velocity[..., 0], velocity[..., 2])
    height = toes[..., 1] - ground_height(joints)
    contact = (1.0 - height / CONTACT_METRES).clip(0.0, 1.0)
    return (speed * contact).max(axis=1)


def jerk(joints: np.ndarray, fps: float) -> np.ndarray:
    """Mean length over joints of the third derivative in m/s^3, (T, J, 3) -> (T,); zeros for under four frames."""
    if len(joints) < 4:
        return np.zeros(len(joints))
    third = np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1).mean(axis=-1) * fps**3
    return np.pad(third, (1, 2), mode="edge")
