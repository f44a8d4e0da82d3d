"""The two skeletons of text-to-motion data: SMPL-22 (HumanML3D) and KIT-21 (KIT-ML).

Rest directions are unit axes, not a human T-pose: they are what the kinematic features turn their bones from
(Guo et al. 2022). A T-pose for SMPL-style rotations is in `representations/rotation.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from motionrft.errors import UserError

_AXES = {
    "+X": (1.0, 0.0, 0.0),
    "-X": (-1.0, 0.0, 0.0),
    "+Y": (0.0, 1.0, 0.0),
    "-Y": (0.0, -1.0, 0.0),
    "+Z": (0.0, 0.0, 1.0),
    "-Z": (0.0, 0.0, -1.0),
    "0": (0.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class Skeleton:
    """Joint tree and the per-skeleton constants of the kinematic features.

    names, parents: J joints, parents before children, -1 for the root.
    chains: joint paths in the order the inverse kinematics walks them; every path starts from the root's rotation,
        also those that begin at the chest.
    axes: per joint, the unit axis along which its bone (parent to joint) rests.
    bone_lengths: metres, of the target skeleton; None where the data set's target was never published.
    facing: joints a, b, c, d; a - b + c - d points across the body.
    legs: the two bones that set the scale of a source skeleton.
    feet: left pair, right pair.
    contact_threshold: squared displacement per frame below which a foot stands still.
    left_right: pairs of joints that a mirror swaps.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    chains: tuple[tuple[int, ...], ...]
    axes: tuple[str, ...]
    bone_lengths: tuple[float, ...] | None
    facing: tuple[int, int, int, int]
    legs: tuple[int, int]
    feet: tuple[int, int, int, int]
    contact_threshold: float
    left_right: tuple[tuple[int, int], ...]
    fps: float
    min_frames: int
    max_frames: int

    @property
    def joints(self) -> int:
        return len(self.parents)

    @property
    def features(self) -> int:
        """Width of the kinematic features: 4 for the root, 3 + 6 a body joint, 3 a joint, 4 contacts."""
        return 4 + 9 * (self.joints - 1) + 3 * self.joints + 4

    @cached_property
    def rest_directions(self) -> Tensor:
        """(J, 3) float64 unit axes; zero for the root."""
        return torch.tensor([_AXES[axis] for axis in self.axes], dtype=torch.float64)

    @cached_property
    def target_offsets(self) -> Tensor:
        """(J, 3) float64, metres: rest direction times bone length of the target skeleton.

        Raises:
            UserError: the target skeleton of this data set is not public (KIT-ML).
        """
        if self.bone_lengths is None:
            raise UserError(
                f"features of {self.features} values ({self.name}, {self.joints} joints) cannot be made, or brought to "
                f"another frame rate, because the bone lengths of that data set are not public; HumanML3D's 263 can. "
                f"Joints can be made of them: motionrft convert FILE --to joints --out DIR."
            )
        return self.rest_directions * torch.tensor(self.bone_lengths, dtype=torch.float64)[:, None]

    @cached_property
    def chain_parents(self) -> tuple[int, ...]:
        """Per joint, the joint before it on its chain; the first of a chain follows the root's rotation, 0."""
        before = [-1] * self.joints
        for chain in self.chains:
            for position, joint in enumerate(chain[1:]):
                before[joint] = chain[position] if position else 0
        return tuple(before)

    @cached_property
    def ancestry(self) -> Tensor:
        """(J, J) float64; entry [a, c] is 1 where bone a lies on the path from the root to joint c."""
        matrix = torch.zeros(self.joints, self.joints, dtype=torch.float64)
        for joint in range(1, self.joints):
            matrix[:, joint] = matrix[:, self.parents[joint]]
            matrix[joint, joint] = 1
        return matrix

    @cached_property
    def mirror_order(self) -> tuple[int, ...]:
        """Per joint, the joint on the other side of the body."""
        order = list(range(self.joints))
        for left, right in self.left_right:
            order[left], order[right] = right, left
        return tuple(order)

    def children(self, joint: int) -> tuple[int, ...]:
        return tuple(child for child, parent in enumerate(self.parents) if parent == joint)


SMPL22 = Skeleton(
    name="smpl22",
    names=(
        *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle"),
        *("right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    ),
    parents=(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
    chains=(
        (0, 2, 5, 8, 11),
        (0, 1, 4, 7, 10),
        (0, 3, 6, 9, 12, 15),
        (9, 14, 17, 19, 21),
        (9, 13, 16, 18, 20),
    ),
    axes=(
        *("0", "+X", "-X", "+Y", "-Y", "-Y", "+Y", "-Y", "-Y", "+Y", "+Z", "+Z", "+Y", "+X", "-X", "+Z"),
        *("-Y", "-Y", "-Y", "-Y", "-Y", "-Y"),
    ),
    # The first frame of HumanML3D's clip 000021, read off published outputs (agreement 1e-6 m).
    bone_lengths=(
        *(
            0.0,
            0.1030740,
            0.1098834,
            0.1315682,
            0.3936232,
            0.3901882,
            0.1431902,
            0.4324330,
            0.4256434,
            0.0573648,
        ),
        *(0.1433818, 0.1494191, 0.2193600, 0.1374868, 0.1433828, 0.1030392, 0.1316140, 0.1229844, 0.2568399),
        *(0.2630919, 0.2660118, 0.2698764),
    ),
    facing=(2, 1, 17, 16),
    legs=(5, 8),
    feet=(7, 10, 8, 11),
    contact_threshold=0.002,
    left_right=((1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21)),
    fps=20.0,
    min_frames=40,
    max_frames=196,
)

KIT21 = Skeleton(
    name="kit21",
    names=(
        *("root", "BP", "BT", "BLN", "BUN", "LS", "LE", "LW", "RS", "RE", "RW"),
        *("LH", "LK", "LA", "LMrot", "LF", "RH", "RK", "RA", "RMrot", "RF"),
    ),
    parents=(-1, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19),
    chains=((0, 11, 12, 13, 14, 15), (0, 16, 17, 18, 19, 20), (0, 1, 2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10)),
    axes=(
        *("0", "+Y", "+Y", "+Y", "+Y", "+X", "-Y", "-Y", "-X", "-Y", "-Y"),
        *("+X", "-Y", "-Y", "+Z", "+Z", "-X", "-Y", "-Y", "+Z", "+Z"),
    ),
    bone_lengths=None,
    facing=(11, 16, 5, 8),
    legs=(17, 18),
    feet=(19, 20, 14, 15),
    contact_threshold=0.05,
    left_right=((5, 8), (6, 9), (7, 10), (11, 16), (12, 17), (13, 18), (14, 19), (15, 20)),
    fps=12.5,
    min_frames=24,
    max_frames=196,
)

SKELETONS = {skeleton.name: skeleton for skeleton in (SMPL22, KIT21)}
