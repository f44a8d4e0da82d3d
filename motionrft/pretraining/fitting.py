"""A generator's configuration fitted to a data set: skeleton and frame rate follow the data."""

from typing import Any

from motionrft.data.folder import MotionDataset
from motionrft.generators import build_generator
from motionrft.representations.names import KINEMATIC
from motionrft.skeleton import SMPL22
from motionrft.training.described import without_storage


def fitted(config: dict[str, Any], data: MotionDataset) -> dict[str, Any]:
    """The configuration for kinematic motions of this data: its features, its rate, and its shortest motions.

    A configuration that is not of kinematic motions, or already of the data's width, or of HumanML3D's skeleton as the
    data are, stays as it is: what a person wrote of another width is refused later, with both numbers.
    """
    if data.skeleton is SMPL22:
        return config
    with without_storage():
        described = build_generator(config)
    if described.trained_on != KINEMATIC or described.motion_width != SMPL22.features:
        return config
    part = "autoencoder" if "autoencoder" in described.to_config() else "denoiser"
    features = {**config.get(part, {}), "features": data.skeleton.features}
    if part == "autoencoder":
        features = {"kind": "transformer", **features}
    rate = {"fps": data.fps} if config.get("fps", SMPL22.fps) == SMPL22.fps else {}
    return {**config, part: features, **rate}
