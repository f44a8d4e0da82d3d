"""A pinhole camera that looks at a point on the person, and the rule that chooses where it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from motionrft.pictures.body import facing, ground_height

# Seen from three quarters ahead and a little above: arms and legs separate, and the ground is visible.
THREE_QUARTERS = math.radians(32)
PITCH = math.radians(13)


@dataclass(frozen=True)
class Camera:
    """Where the eye is and how metres become pixels.

    Attributes:
        target: (3,) world point in the middle of the view.
        yaw: angle of the eye around Y, radians; 0 stands at +Z of the target.
        pitch: angle above the horizon, radians.
        distance: eye to target, metres.
        scale: pixels a metre at the target.
        centre: pixel (x, y) of the target.
    """

    target: tuple[float, float, float]
    yaw: float
    pitch: float
    distance: float
    scale: float
    centre: tuple[float, float]

    @cached_property
    def axes(self) -> np.ndarray:
        """(3, 3): rows are the view's right, up and towards the eye, in world axes."""
        sin_y, cos_y, sin_p, cos_p = (
            math.sin(self.yaw),
            math.cos(self.yaw),
            math.sin(self.pitch),
            math.cos(self.pitch),
        )
        right = (cos_y, 0.0, -sin_y)
        up = (-sin_y * sin_p, cos_p, -cos_y * sin_p)
        back = (sin_y * cos_p, sin_p, cos_y * cos_p)
        return np.array([right, up, back])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World points (..., 3) -> pixels (..., 2), depth (...) towards the eye in metres, pixels a metre (...)."""
        view = (np.asarray(points, dtype=np.float64) - np.asarray(self.target)) @ self.axes.T
        depth = view[..., 2]
        pixels_per_metre = self.scale * self.distance / np.maximum(self.distance - depth, 0.1)
        x = self.centre[0] + view[..., 0] * pixels_per_metre
        y = self.centre[1] - view[..., 1] * pixels_per_metre
        return np.stack([x, y], axis=-1), depth, pixels_per_metre


@dataclass(frozen=True)
class Framing:
    """What several pictures of motions share, so that they can be compared: angle, floor and size.

    Attributes:
        yaw, pitch: of the camera.
        ground: height of the floor, metres.
        low, high: lowest and highest world height that must be in view.
        half_width: largest sideways reach from the followed root, as seen from here, metres.
    """

    yaw: float
    pitch: float
    ground: float
    low: float
    high: float
    half_width: float

    @property
    def seen_height(self) -> float:
        """What the view must show from bottom to top, metres across the line of sight."""
        return (self.high - self.low) * math.cos(self.pitch)

    def camera(self, width: float, height: float, root: np.ndarray, middle: float = 0.5) -> Camera:
        """Camera of a picture of `width` x `height` pixels that follows `root` (3,) horizontally."""
        scale = min(height / self.seen_height, width / (2 * self.half_width))
        target = (float(root[0]), (self.high + self.low) / 2, float(root[2]))
        return Camera(target, self.yaw, self.pitch, 6.0, scale, (width / 2, height * middle))


def framing(motions: list[np.ndarray], roots: list[np.ndarray]) -> Framing:
    """One framing for all `motions`, each (T, J, 3), followed at `roots`, each (T, 3).

    The first motion's first frame gives the heading, so that pictures of one prompt keep one point of view.
    """
    forward = facing(motions[0][:1])[0]
    yaw = math.atan2(forward[0], forward[2]) + THREE_QUARTERS
    ground = ground_height(np.concatenate([motion.reshape(-1, 3) for motion in motions]))
    right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
    reach = max(
        float(np.abs((m - root[:, None]) @ right).max()) for m, root in zip(motions, roots, strict=True)
    )
    high = max(float(motion[..., 1].max()) for motion in motions)
    # Below the floor's height there is room for its front rim, which is nearer to the eye.
    return Framing(yaw, PITCH, ground, ground - 0.21, max(high, ground + 0.9) + 0.22, max(reach, 0.45) + 0.16)
