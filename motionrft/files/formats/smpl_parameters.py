"""SMPL parameters in `.npz` and `.pkl`: AMASS (SMPL, SMPL-H, SMPL-X), HY-Motion, AIST++, and what pose estimators write.

Rotation vectors of the body's joints, and a translation. There is no body model here, whose licence does not let us carry
it: the skeleton is the mean one of `representations.rotation`, and the shape (`betas`) is not used. Both are said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.arrays import rate_of, write_members
from motionrft.files.formats.bare_arrays import ArrayStretch
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile, WritingOptions
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion, Recording, rate_taken
from motionrft.representations.convert import convert
from motionrft.representations.names import ROTATION
from motionrft.representations.rotation import turn_rotation
from motionrft.rotations import (
    quaternion_to_rotation_vector,
    quaternion_to_sixd,
    rotation_vector_to_quaternion,
    sixd_to_quaternion,
)

_POSES = ("poses", "smpl_poses", "fullpose", "full_pose", "pose")
_ROOTS = ("root_orient", "global_orient", "Rh", "root_pose")
_BODIES = ("pose_body", "body_pose")
_PATHS = ("trans", "transl", "smpl_trans", "Th", "translation")
_SHAPES = ("betas", "shape")
_JOINTS = 22
_HANDS, _JAW, _EYES, _BETAS = 90, 3, 6, 16
"""Widths of what SMPL-X has and we do not know; written as zeros."""
TO_Z_UP = torch.tensor([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=torch.float64)
"""From Y up, facing +Z, to Z up, facing +Y."""
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
    writes = True

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
        notes += [] if said or options.source_fps else [rate_taken(fps)]
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

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> None:
        """AMASS's SMPL-X layout, Z up, on the mean skeleton: no betas, hands, jaw or eyes."""
        rotation = convert(torch.from_numpy(motion.array)[None], motion.representation, ROTATION)[0]
        write_members(path, amass_members(rotation.double(), motion.fps))


def amass_members(
    rotation: torch.Tensor, fps: float, rest_joints: torch.Tensor | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an AMASS file of rotations (T, 135), Y up. rest_joints: (22, 3) of them; the mean skeleton's if None.

    `trans` is what SMPL adds to its posed body: the pelvis' place less its place at rest.
    """
    turned = turn_rotation(rotation, TO_Z_UP, rest_joints)
    sixd = turned[:, 3:].unflatten(-1, (_JOINTS, 6))  # (T, 22, 6)
    vectors = (
        quaternion_to_rotation_vector(sixd_to_quaternion(sixd, "interleaved")).float().numpy()
    )  # (T, 22, 3)
    frames = len(rotation)
    return {
        "trans": turned[:, :3].float().numpy(),
        "root_orient": vectors[:, 0],
        "pose_body": vectors[:, 1:].reshape(frames, -1),
        "pose_hand": np.zeros((frames, _HANDS), np.float32),
        "pose_jaw": np.zeros((frames, _JAW), np.float32),
        "pose_eye": np.zeros((frames, _EYES), np.float32),
        "betas": np.zeros(_BETAS, np.float32),
        "num_betas": np.array(_BETAS),
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(fps),
        "mocap_time_length": np.array(frames / fps),
    }
