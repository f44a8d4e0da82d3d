"""The smoothed path of the pelvis, as Kimodo's weights were trained on it: least acceleration within 6 cm.

From coarse to fine, at each level by ADMM (Boyd et al. 2011, over-relaxed). After the finest level the published code
interpolates once more, as if to a level finer still: the path it trained on is half a frame early (2 cm at walking pace),
and ours is the same.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError

MARGIN = 0.06
"""Metres that the smooth path may leave the pelvis by."""
SHORTEST = 5
"""Frames below which the system is singular."""
_ITERATIONS, _RELAXATION, _STIFFNESS = 500, 1.8, 0.25


def smooth_path(root: Tensor) -> Tensor:
    """(T, 3) the smooth x and z of a pelvis' path (T, 3), metres; y is kept.

    Raises:
        UserError: fewer than 5 frames.
    """
    if len(root) < SHORTEST:
        raise UserError(f"{len(root)} frames: Kimodo's smooth path needs at least {SHORTEST}.")
    target = root[:, [0, 2]].detach().cpu().double().numpy()  # (T, 2)
    level = 2 ** max(int(np.log2(len(root))) - 4, 1)
    x = np.tile(target.mean(0), (len(target[::level]), 1))
    while level > 1:
        x = _finer(_admm(x, target[::level]), len(target[:: level // 2]))
        level //= 2
    x = _half_a_frame_early(_admm(x, target))
    smooth = torch.from_numpy(x).to(root)
    return torch.stack((smooth[:, 0], root[:, 1], smooth[:, 1]), dim=-1)


def _finer(x: np.ndarray, points: int) -> np.ndarray:
    """(points, 2) with a mean between every two points; a point that is missing at the end goes on straight."""
    fine = np.empty((2 * len(x), x.shape[1]))
    fine[::2] = x
    fine[1:-1:2] = (x[1:] + x[:-1]) / 2
    fine[-1] = x[-1] + (x[-1] - x[-2]) / 2
    return fine[:points]


def _half_a_frame_early(x: np.ndarray) -> np.ndarray:
    """(T, 2) what the last interpolation, for which there is no finer level, makes of the path."""
    last = x[-1] + (x[-1] - x[-2]) / 2
    following = np.concatenate((x[1:-1], last[None]))
    return np.concatenate(((x[:-1] + following) / 2, last[None]))


def _admm(start: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, 2) of least acceleration within `MARGIN` of the target, after a fixed number of iterations."""
    count = len(target)
    second = np.zeros((count, count))
    inner = np.arange(1, count - 1)
    second[inner, inner - 1] = second[inner, inner + 1] = 1
    second[inner, inner] = -2
    matrix = second.T @ second
    penalty = _STIFFNESS * np.sqrt(matrix.diagonal().max())
    solve = penalty * np.linalg.inv(matrix + penalty * np.eye(count))
    x, z, u = start, start, np.zeros_like(start)
    for _ in range(_ITERATIONS):
        away = x + u - target
        distance = np.linalg.norm(away, axis=1, keepdims=True)
        z = target + away * np.minimum(1, MARGIN / np.maximum(distance, MARGIN))
        u = u + _RELAXATION * (x - z)
        x = solve @ (z - u)
    return x
