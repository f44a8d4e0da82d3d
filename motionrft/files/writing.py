"""Writing a motion in any file format that can be read again."""

from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.files.arrays import write_arrays
from motionrft.files.bvh_writer import write_bvh
from motionrft.files.motions import ARRAY_SUFFIXES, SUFFIXES, Motion
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS


def write_motion(path: Path | str, motion: Motion, unit: str = "centimetres") -> None:
    """Write a motion, whole or not at all, in the format of the file's suffix.

    Args:
        path: `.npy` (the array alone), `.npz` and `.safetensors` (with the frame rate), or `.bvh` (through joints).
        unit: of a BVH file.

    Raises:
        UserError: unknown suffix, or the place cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        write_arrays(path, motion.array, motion.fps)
    elif path.suffix.lower() == ".bvh":
        joints = convert(torch.from_numpy(motion.array)[None], motion.representation, JOINTS)[0]
        write_bvh(path, joints.reshape(len(joints), -1, 3), motion.fps, unit)
    else:
        raise UserError(f"{path}: motions are written as {', '.join(SUFFIXES)}.")
