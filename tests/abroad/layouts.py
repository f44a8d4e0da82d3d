"""Small data set folders as people have them: HumanML3D's and KIT-ML's layouts, nothing of ours beside them.

No `index.csv`, no `dataset.json`: texts with part-of-speech tags and part times, split lists, mirrored clips, statistics
of the kinematic features alone. HumanML3D carries MotionReward's `joints_6d/`; KIT-ML is in millimetres.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionrft.representations.convert import convert
from motionrft.representations.kinematic import joints_to_kinematic
from motionrft.representations.mirror import mirror
from motionrft.representations.statistics import Statistics
from motionrft.skeleton import KIT21, SMPL22, Skeleton

KIT_MILLIMETRES = (
    *(0, 80, 150, 180, 110, 200, 280, 250, 200, 280, 250),
    *(90, 430, 420, 60, 110, 90, 430, 420, 60, 110),
)
"""Bone lengths of a made-up KIT subject: the published target skeleton is not distributed."""

ACTS = (
    ("a person walks forward", "a/DET person/NOUN walk/VERB forward/ADV"),
    ("someone waves with the left hand", "someone/PRON wave/VERB with/ADP the/DET left/ADJ hand/NOUN"),
    ("a man turns to the right", "a/DET man/NOUN turn/VERB to/ADP the/DET right/NOUN"),
    ("a figure stands still", "a/DET figure/NOUN stand/VERB still/ADV"),
)
WORDS = sorted({word.split("/")[0] for _, tagged in ACTS for word in tagged.split()})


@dataclass(frozen=True)
class Layout:
    """A data set as published. frames: of the shortest clip. mirrored: clips that have an image `M...`."""

    skeleton: Skeleton
    names: tuple[str, ...]
    frames: int
    mirrored: bool
    metres: float

    @property
    def offsets(self) -> Tensor:
        """(J, 3) rest offsets in the folder's own unit."""
        if self.skeleton is SMPL22:
            return SMPL22.target_offsets.float()
        return (KIT21.rest_directions * torch.tensor(KIT_MILLIMETRES, dtype=torch.float64)[:, None]).float()


TRAIN, VALIDATION, TEST = 10, 8, 34
"""Clips a split; 32 candidates are ranked in the last."""
CLIPS = TRAIN + VALIDATION + TEST
HUMANML3D = Layout(SMPL22, tuple(f"{n:06d}" for n in range(CLIPS)), 41, True, 1.0)
KIT_ML = Layout(KIT21, tuple(f"{n:05d}" for n in range(CLIPS)), 25, False, 1000.0)


def write_dataset(layout: Layout, root: Path) -> Path:
    """The folder with its clips in every split."""
    seen = TRAIN + VALIDATION
    names = {"train": layout.names[:TRAIN], "val": layout.names[TRAIN:seen], "test": layout.names[seen:]}
    for folder in ("new_joints", "new_joint_vecs", "texts"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(layout.names):
        features = features_of(layout, number)
        _write_clip(layout, root, name, features, number)
        if layout.mirrored and name in names["train"]:
            _write_clip(layout, root, f"M{name}", mirror(features, "kinematic"), number)
    if layout.mirrored:
        names["train"] += tuple(f"M{name}" for name in names["train"])
    names["train_val"] = names["train"] + names["val"]
    names["all"] = names["train_val"] + names["test"]
    for split, clips in names.items():
        (root / f"{split}.txt").write_text("\n".join(clips) + "\n")
    clips = [np.load(root / "new_joint_vecs" / f"{name}.npy") for name in names["train"]]
    Statistics.of_clips(clips).save(root)
    return root


def features_of(layout: Layout, number: int) -> Tensor:
    """(T, D) kinematic features of one of the acts, in the folder's unit."""
    act, frames = number % len(ACTS), layout.frames + number % 13
    joints = moving(layout, act, frames, number)
    return joints_to_kinematic(joints[None], target_offsets=layout.offsets)[0]


def moving(layout: Layout, act: int, frames: int, seed: int) -> Tensor:
    """(T, J, 3) joints in the folder's unit: walking, waving, turning, or standing, each a little differently."""
    draws = torch.Generator().manual_seed(seed)
    time = torch.arange(frames) / layout.skeleton.fps  # (T,)
    rest = layout.skeleton.ancestry.float().T @ layout.offsets  # (J, 3)
    joints = rest.expand(frames, -1, -1).clone()
    swing = 0.1 * layout.metres * torch.sin(2 * torch.pi * (1 + 0.3 * torch.rand((), generator=draws)) * time)
    left, right = layout.skeleton.feet[:2], layout.skeleton.feet[2:]
    if act == 0:
        joints[..., 2] += (0.9 + 0.2 * torch.rand((), generator=draws)) * layout.metres * time[:, None]
        for foot in left:
            joints[:, foot, 2] += swing
        for foot in right:
            joints[:, foot, 2] -= swing
    if act == 1:
        arm = (18, 20) if layout.skeleton is SMPL22 else (6, 7)
        joints[:, arm, 1] += 0.5 * layout.metres
        joints[:, arm[1], 0] += swing
    if act == 2:
        joints = turned(joints, -0.8 * time)
    return joints + 0.002 * layout.metres * torch.randn(joints.shape, generator=draws)


def turned(joints: Tensor, angle: Tensor) -> Tensor:
    """(T, J, 3) turned about the vertical by (T,) radians."""
    cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
    x, z = joints[..., 0], joints[..., 2]
    return torch.stack([cosine * x + sine * z, joints[..., 1], cosine * z - sine * x], dim=-1)


def _write_clip(layout: Layout, root: Path, name: str, features: Tensor, number: int) -> None:
    joints = convert(features[None], "kinematic", "joints")
    np.save(root / "new_joint_vecs" / f"{name}.npy", features.numpy())
    np.save(root / "new_joints" / f"{name}.npy", joints[0].numpy())
    if layout.skeleton is SMPL22:
        (root / "joints_6d").mkdir(exist_ok=True)
        rotations = convert(features[None], "kinematic", "rotation")[0]
        np.save(root / "joints_6d" / f"{name}.npy", rotations.numpy())
    (root / "texts" / f"{name}.txt").write_text("".join(_lines(layout, number)))


def _lines(layout: Layout, number: int) -> list[str]:
    """Two captions; every eighth clip has one of its first part too, with `nan` as HumanML3D writes it elsewhere."""
    text, tagged = ACTS[number % len(ACTS)]
    lines = [f"{text}#{tagged}#0.0#0.0\n", f"{text} {number}#{tagged}#nan#nan\n"]
    if number % 8 == 0:
        part = layout.frames / layout.skeleton.fps
        lines.append(f"{text} first#{tagged}#0.0#{part - 0.05:.2f}\n")
    return lines
