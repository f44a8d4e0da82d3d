"""SMPL parameters in `.npz` and `.pkl`: AMASS (SMPL, SMPL-H, SMPL-X), HY-Motion, AIST++, and what pose estimators write.

Rotation vectors of the body's joints, and a translation. There is no body model here, whose licence does not let us carry
it: the skeleton is the mean one of `representations.rotation`, and the shape (`betas`) is not used. Both are said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.arrays import rate_of
from motionrft.files.formats.bare_arrays import ArrayStretch
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Recording
from motionrft.representations.names import ROTATION
from motionrft.rotations import quaternion_to_sixd, rotation_vector_to_quaternion

_POSES = ("poses", "smpl_poses", "fullpose", "full_pose", "pose")
_ROOTS = ("root_orient", "global_orient", "Rh", "root_pose")
_BODIES = ("pose_body", "body_pose")
_PATHS = ("trans", "transl", "smpl_trans", "Th", "translation")
_SHAPES = ("betas", "shape")
_JOINTS = 22
_AIST_FPS, _USUAL_FPS = 60.0, 30.0


@dataclass(frozen=True)
class SmplParameters:
    """vectors: (T, 22, 3) rotation vectors, the root's first. path: (T, 3) SMPL's translation, metres."""

    vectors: np.ndarray
    path: np.ndarray

    def rotation(self) -> np.ndarray:
        """(T, 135) float64, in the file's axes."""
        vectors = torch.from_numpy(self.vectors)
        sixd = quaternion_to_sixd(rotation_vector_to_quaternion(vectors), "interleaved")  # (T, 22, 6)
        return np.concatenate((self.path, sixd.flatten(1).numpy()), axis=-1)


def smpl_parameters(members: Mapping[str, Any]) -> SmplParameters | None:
    """The parameters among named arrays, under any of their usual names; None where they are not all there."""
    path = _first(members, _PATHS)
    root, body, poses = (_first(members, names) for names in (_ROOTS, _BODIES, _POSES))
    if path is None or path.ndim != 2 or path.shape[1] != 3:
        return None
    whole = None if poses is None or len(poses) != len(path) else poses.reshape(len(path), -1)
    if root is not None and body is not None and len(root) == len(body) == len(path):
        whole = np.concatenate((root.reshape(len(path), -1), body.reshape(len(path), -1)), axis=1)
    elif whole is not None and root is not None and root.shape == (len(path), 3):
        whole = np.concatenate((root, whole[:, 3:]), axis=1)  # HY-Motion keeps the root apart as well
    if whole is None or whole.shape[1] % 3 or whole.shape[1] < 3 * _JOINTS:
        return None
    vectors = np.array(whole[:, : 3 * _JOINTS], dtype=np.float64).reshape(len(path), _JOINTS, 3)
    scale = _first(members, ("smpl_scaling",))  # AIST++: the path is in units of the body's own
    size = float(scale.reshape(-1)[0]) if scale is not None and scale.size == 1 else 1.0
    return SmplParameters(vectors, np.asarray(path, dtype=np.float64) / (size or 1.0))


def _first(members: Mapping[str, Any], names: tuple[str, ...]) -> np.ndarray | None:
    found = (members[name] for name in names if name in members)
    return next((each for each in found if isinstance(each, np.ndarray) and each.dtype.kind in "iuf"), None)


class SmplFormat(MotionFormat):
    """`.npz` and `.pkl` with rotation vectors and a translation."""

    name = "amass"
    suffixes = (".npz", ".pkl")

    def recognises(self, file: OpenedFile) -> bool:
        return smpl_parameters(file.arrays) is not None

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        found = smpl_parameters(file.arrays)
        if found is None:
            raise UserError(f"{file.path}: no SMPL parameters in it.")
        said = rate_of(file.arrays, file.path)
        usual = _AIST_FPS if "smpl_poses" in file.arrays else _USUAL_FPS
        fps = said or options.source_fps or usual
        notes = ["SMPL parameters on the mean skeleton (no body model)"]
        notes += (
            [f"taken to be at {fps:g} fps (--source-fps decides otherwise)"]
            if not (said or options.source_fps)
            else []
        )
        shape = _first(file.arrays, _SHAPES)
        notes += ["betas are not used"] if shape is not None and np.any(shape) else []
        seen = ArrayStretch(found.rotation(), ROTATION, fps, str(file.path))
        yield Recording(
            file.path,
            ROTATION,
            fps,
            len(found.path),
            seen.take,
            seen.joints,
            up="z" if said and any(name.startswith("mocap_") for name in file.arrays) else "y",
            notes=tuple(notes),
            says_rate=said is not None,
        )
