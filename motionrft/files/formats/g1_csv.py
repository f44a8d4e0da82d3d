"""The Unitree G1's motions for MuJoCo as `.csv`: 36 numbers a row, no header, 30 rows a second (`kimodo.g1` says which).

Two orders of the root's quaternion are about: w first (MuJoCo, Kimodo) and w last (Unitree's retargeted captures); the
one is taken in which the robot's pelvis is upright.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.checks import check_finite
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile, WritingOptions
from motionrft.files.formats.bvh import joints_at
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion, Recording
from motionrft.files.rigid_fit import fit_rigid
from motionrft.parsing import filled_lines
from motionrft.representations.joints import resample_smooth
from motionrft.representations.kimodo.features import (
    KimodoFeatures,
    local_rotations,
    skeleton_of_features,
)
from motionrft.representations.kimodo.g1 import WIDTH, joints_of_qpos, qpos_of_pose
from motionrft.representations.kimodo.g1_fit import fit_qpos
from motionrft.representations.kimodo.skeletons import FPS, G1, joints22
from motionrft.representations.names import JOINTS, KIMODO
from motionrft.representations.resample import resample
from motionrft.training.atomic import write_text

_CLEAR = 0.1
_WALK = 0.5


class G1CsvFormat(MotionFormat):
    """`.csv` of `qpos` rows."""

    name = "g1-csv"
    suffixes = (".csv",)
    shared = True
    writes = True
    takes_features = True

    def recognises(self, file: OpenedFile) -> bool:
        lines = file.head.decode("utf-8-sig", errors="replace").splitlines()[:-1]
        return any(_numbers(line) is not None for line in lines[:2])

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        rows, last = _rows(file.path)
        fps = options.source_fps or FPS

        def joints(frames: np.ndarray | slice) -> np.ndarray:
            return joints22(*joints_of_qpos(torch.from_numpy(rows[frames]))).numpy()

        def take(start: int, stop: int, wanted: float | None) -> np.ndarray:
            check_finite(rows[start:stop], str(file.path))
            found = joints(slice(start, stop))
            if wanted is None or wanted == fps:
                return found
            return resample_smooth(torch.from_numpy(found), fps, wanted).numpy()

        notes = ["Unitree G1 (its chest, neck and head are made up)", f"{fps:g} fps"]
        notes += ["quaternions with w last"] if last else []
        yield Recording(file.path, JOINTS, fps, len(rows), take, joints, notes=tuple(notes))

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> None:
        """Rows at 30 fps with the quaternion's w first: the robot's own features on its hinges, else what it can
        follow.
        """
        rows = _own_rows(motion)
        if rows is None:
            fitted = fit_rigid(joints_at(motion, FPS))
            rows = fit_qpos(fitted.joints(), fitted.local[:, 0])
        text = "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows.tolist())
        write_text(path, text)


def _own_rows(motion: Motion) -> torch.Tensor | None:
    """(T, 36) of features of the robot; None of any other motion."""
    if motion.representation != KIMODO or skeleton_of_features(motion.array.shape[-1]) is not G1:
        return None
    values = resample(torch.from_numpy(motion.array), KIMODO, motion.fps, FPS).double()
    features = KimodoFeatures(values)
    return qpos_of_pose(local_rotations(features.rotations, G1.parents), features.root)


def _rows(path: Path) -> tuple[np.ndarray, bool]:
    """(T, 36) float64, quaternions with w first; and whether the file has w last.

    Raises:
        UserError: a row holds something else than 36 numbers; the line is named.
    """
    rows = []
    for number, line in filled_lines(path):
        found = _numbers(line)
        if found is not None:
            rows.append(found)
        elif number > 1:  # the first line may be a header
            raise UserError(f"{path}: line {number}: not the {WIDTH} numbers of a G1 row.")
    values = np.array(rows, dtype=np.float64).reshape(-1, WIDTH)
    if not _w_is_last(values):
        return values, False
    return values[:, [0, 1, 2, 6, 3, 4, 5, *range(7, WIDTH)]], True


def _w_is_last(rows: np.ndarray) -> bool:
    """Whether the root's quaternions have w last: read so, the robot stands, walks forwards, or looks ahead at all.

    Read the wrong way round, a robot that has turned lies; one that looks nearly ahead looks back instead.
    """
    orders = (rows[:, [3, 4, 5, 6]], rows[:, [6, 3, 4, 5]])
    units = [order / np.maximum(np.linalg.norm(order, axis=1, keepdims=True), 1e-12) for order in orders]
    standing = [float(np.mean(1 - 2 * (q[:, 1] ** 2 + q[:, 2] ** 2))) for q in units]
    if abs(standing[0] - standing[1]) > _CLEAR:
        return standing[1] > standing[0]
    walked = [_walked_forwards(rows[:, :2], q) for q in units]
    if max(map(abs, walked)) > _WALK:
        return walked[1] > walked[0]
    ahead = [float(np.mean(np.abs(q[:, 0]))) for q in units]
    return ahead[1] > ahead[0] + _CLEAR


def _walked_forwards(path: np.ndarray, turns: np.ndarray) -> float:
    """Metres of the path (T, 2) that go where the body looks, less those that go back; turns (T, 4), w first."""
    w, x, y, z = turns[:-1].T
    forward = np.stack((1 - 2 * (y**2 + z**2), 2 * (x * y + w * z)), axis=-1)  # (T - 1, 2)
    return float(np.sum(np.diff(path, axis=0) * forward))


def _numbers(line: str) -> list[float] | None:
    cells = line.strip().rstrip(",").split(",")
    if len(cells) != WIDTH:
        return None
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None
