"""Where a data set folder keeps what: HumanML3D's names, and those that others use for the same thing."""

from pathlib import Path

from motionrft.representations.names import JOINTS, KINEMATIC, ROTATION

FOLDERS = {KINEMATIC: "new_joint_vecs", JOINTS: "new_joints", ROTATION: "rotations"}
"""Where each representation lies; we write these."""
ALSO = {ROTATION: "joints_6d"}
"""MotionReward's own name, read where ours is not there."""
TEXTS = "texts"
CARD = "dataset.json"
"""What a data set says of itself: frame rate, licence, where it comes from."""
SAMPLING = "sampling.json"
"""What a folder of samples says of itself: how they were made, and their frame rate."""
SHARD_INDEX, SHARDS = "shards.json", "shards"
"""Of a data set in shards: the list of them, and the folder in which they lie instead of the folders above."""
PARTS, PART = "parts", "|"
"""Column of `index.csv` that names the clips which a composed one is made of, and what stands between two of them."""


def folder_of(root: Path, representation: str) -> Path:
    """The folder of a representation in a data set; need not exist."""
    usual = root / FOLDERS[representation]
    if not usual.is_dir() and representation in ALSO and (root / ALSO[representation]).is_dir():
        return root / ALSO[representation]
    return usual
