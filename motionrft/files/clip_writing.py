"""One clip in every representation of a data set folder."""

from pathlib import Path

import numpy as np
from torch import Tensor

from motionrft.files.checks import check_finite
from motionrft.files.dataset_layout import FOLDERS
from motionrft.representations.kinematic import joints_to_kinematic, kinematic_to_joints
from motionrft.representations.names import JOINTS, KINEMATIC, ROTATION
from motionrft.representations.retargeting import joints_to_default_rotation


def representations_of(clip: str, joints: Tensor) -> dict[str, np.ndarray]:
    """Joints (1, T, 22, 3) as features, as the joints recovered from them, and as rotations fitted to those, (T - 1, …).

    Raises:
        UserError: one of them is not finite.
    """
    features = joints_to_kinematic(joints)  # (1, T - 1, 263)
    recovered = kinematic_to_joints(features)  # (1, T - 1, 22, 3)
    made = {KINEMATIC: features, JOINTS: recovered, ROTATION: joints_to_default_rotation(recovered)}
    arrays = {name: motion[0].float().numpy() for name, motion in made.items()}
    for name, array in arrays.items():
        check_finite(array, f"{clip}: as {name}")
    return arrays


def save_clip(clip: str, joints: Tensor, folder: Path) -> None:
    """Write joints (1, T, 22, 3) in every representation, each into its folder."""
    for name, array in representations_of(clip, joints).items():
        np.save(folder / FOLDERS[name] / f"{clip}.npy", array)
