"""What the representations are called, how wide they are, and how an array's shape tells which one it is."""

from typing import Final

from motionrft.errors import UserError

KINEMATIC: Final = "kinematic"
"""Root velocities, local positions, rotations, velocities, contacts: 263 wide (HumanML3D), 251 (KIT-ML)."""
JOINTS: Final = "joints"
"""Joint positions in metres, (T, 22, 3), or (T, 21, 3) for KIT-ML."""
ROTATION: Final = "rotation"
"""Translation and 22 rotations as interleaved 6D, 135 wide (HY-Motion's `joints_6d`)."""
HYMOTION: Final = "hymotion"
"""`rotation` followed by 22 joint positions relative to the pelvis, 201 wide (HY-Motion's `o6dp`)."""
FLOWMDM: Final = "flowmdm"
"""The other 135: root height, planar velocity, 22 rotations (FlowMDM on BABEL). Never guessed from a shape."""
KIMODO: Final = "kimodo"
"""NVIDIA Kimodo's features of SOMA (369), the Unitree G1 (417) or SMPL-X (273): see `representations.kimodo.features`."""

REPRESENTATIONS: Final = (KINEMATIC, JOINTS, ROTATION, HYMOTION, FLOWMDM)
"""Those that files are converted to by name; `kimodo` is a file format of that name, and its features a model's own."""

ALIASES: Final = {
    "263": KINEMATIC,
    "251": KINEMATIC,
    "22x3": JOINTS,
    "21x3": JOINTS,
    "66": JOINTS,
    "135": ROTATION,
    "201": HYMOTION,
}

WIDTHS: Final = {
    KINEMATIC: (263, 251),
    JOINTS: (66, 63),
    ROTATION: (135,),
    HYMOTION: (201,),
    FLOWMDM: (135,),
    KIMODO: (369, 417, 273),
}
"""Values a frame, for each representation; joints are counted flat."""

_GUESS: Final = {263: KINEMATIC, 251: KINEMATIC, 66: JOINTS, 63: JOINTS, 135: ROTATION, 201: HYMOTION}


def representation_name(text: str) -> str:
    """The canonical name for a name or alias such as `263` or `22x3`.

    Raises:
        UserError: no representation is called so.
    """
    name = ALIASES.get(text.lower(), text.lower())
    if name not in REPRESENTATIONS and name != KIMODO:
        legal = ", ".join((*REPRESENTATIONS, *ALIASES))
        raise UserError(f"unknown representation {text!r}. Legal: {legal}.")
    return name


def guess_representation(shape: tuple[int, ...]) -> str | None:
    """The representation an array of shape (T, D), (B, T, D), (T, J, 3) or (B, T, J, 3) must be; None if none fits."""
    if len(shape) in (3, 4) and shape[-1] == 3:
        return JOINTS if shape[-2] in (22, 21) else None
    return _GUESS.get(shape[-1]) if len(shape) in (2, 3) else None


HIGHEST_ROOT: Final = 10.0
"""A root above this is counted in millimetres, as KIT-ML's are: no pelvis is 10 m up, and no standing one below 10 mm."""
