"""One clip in every representation of a data set folder."""

from pathlib import Path

import numpy as np
from torch import Tensor

from motionrft.representations.kinematic import joints_to_kinematic, kinematic_to_joints
from motionrft.representations.names import JOINTS, KINEMATIC, ROTATION
from motionrft.representations.rotation import joints_to_rotation

FOLDERS = {KINEMATIC: "new_joint_vecs", JOINTS: "new_joints", ROTATION: "rotations"}
"""Where each representation lies in a data set folder."""


def save_clip(clip: str, joints: Tensor, folder: Path) -> None:
    """Write joints (1, T, 22, 3) as features, as the joints recovered from them, and as rotations fitted to those."""
    features = joints_to_kinematic(joints)  # (1, T - 1, 263)
    recovered = kinematic_to_joints(features)
    rotation = joints_to_rotation(recovered)
    for representation, motion in ((KINEMATIC, features), (JOINTS, recovered), (ROTATION, rotation)):
        np.save(folder / FOLDERS[representation] / f"{clip}.npy", motion[0].float().numpy())
