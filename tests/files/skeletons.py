"""BVH files as other people's software writes them: one made-up person under many names, axes, units and rates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch

from motionrft.representations.rotation import forward_kinematics
from motionrft.rotations import euler_to_quaternion, matrix_to_euler, quaternion_to_matrix
from motionrft.skeleton import SMPL22

REST = (
    *((0, 0.93, 0), (0.09, -0.07, 0), (-0.09, -0.07, 0), (0, 0.11, 0), (0, -0.4, 0), (0, -0.4, 0)),
    *((0, 0.13, 0), (0, -0.41, 0), (0, -0.41, 0), (0, 0.08, 0), (0, -0.05, 0.13), (0, -0.05, 0.13)),
    *((0, 0.2, 0), (0.06, 0.12, 0), (-0.06, 0.12, 0), (0, 0.1, 0.02), (0.12, 0, 0), (-0.12, 0, 0)),
    *((0.26, 0, 0), (-0.26, 0, 0), (0.25, 0, 0), (-0.25, 0, 0)),
)
"""Offsets of a T-pose that stands on the floor, metres, SMPL order; the first is the pelvis itself."""
TURNS = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "x": np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
    "-y": np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]),
}
"""From our world to one in which another axis is up."""


@dataclass(frozen=True)
class Names:
    """What a convention calls the 22 joints. between: joints that it has on the bone to one of ours, with the part of
    the bone at which each stands. without: joints it has not (their End Site stays). root: joints above the pelvis.
    extra: chains of joints that hang on one of ours, fingers for example.
    """

    joints: tuple[str, ...]
    between: Mapping[int, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    without: tuple[int, ...] = ()
    root: tuple[str, ...] = ()
    extra: Mapping[int, tuple[tuple[tuple[str, tuple[float, float, float]], ...], ...]] = field(
        default_factory=dict
    )


def _names(trunk: str, leg: str, arm: str, left: str, right: str, **more: object) -> Names:
    """trunk: pelvis, spine1, spine2, spine3, neck, head. leg, arm: words with {} for the side."""
    pelvis, s1, s2, s3, neck, head = trunk.split("|")
    legs = [[word.format(side) for side in (left, right)] for word in leg.split("|")]
    arms = [[word.format(side) for side in (left, right)] for word in arm.split("|")]
    names = (pelvis, *legs[0], s1, *legs[1], s2, *legs[2], s3, *legs[3], neck, *arms[0], head)
    return Names((*names, *arms[1], *arms[2], *arms[3]), **more)  # type: ignore[arg-type]


_MIXAMO_LEG, _MIXAMO_ARM = "{}UpLeg|{}Leg|{}Foot|{}ToeBase", "{}Shoulder|{}Arm|{}ForeArm|{}Hand"
_UE_LEG, _UE_ARM = "thigh_{}|calf_{}|foot_{}|ball_{}", "clavicle_{}|upperarm_{}|lowerarm_{}|hand_{}"

CONVENTIONS: dict[str, Names] = {
    "mixamo": _names(
        "mixamorig:Hips|mixamorig:Spine|mixamorig:Spine1|mixamorig:Spine2|mixamorig:Neck|mixamorig:Head",
        "mixamorig:{}UpLeg|mixamorig:{}Leg|mixamorig:{}Foot|mixamorig:{}ToeBase",
        "mixamorig:{}Shoulder|mixamorig:{}Arm|mixamorig:{}ForeArm|mixamorig:{}Hand",
        "Left",
        "Right",
    ),
    "lafan1": _names(
        "Hips|Spine|Spine1|Spine2|Neck|Head", "{}UpLeg|{}Leg|{}Foot|{}Toe", _MIXAMO_ARM, "Left", "Right"
    ),
    "motionbuilder with four spines": _names(
        "Hips|Spine|Spine1|Spine3|Neck|Head",
        _MIXAMO_LEG,
        _MIXAMO_ARM,
        "Left",
        "Right",
        between={9: (("Spine2", 0.5),)},
    ),
    "neuron without toes": _names(
        "Hips|Spine|Spine1|Spine2|Neck|Head",
        "{}UpLeg|{}Leg|{}Foot|{}Toe",
        _MIXAMO_ARM,
        "Left",
        "Right",
        without=(10, 11),
    ),
    "xsens and 3ds max": _names(
        "Hips|Chest|Chest2|Chest4|Neck|Head",
        "{}Hip|{}Knee|{}Ankle|{}Toe",
        "{}Collar|{}Shoulder|{}Elbow|{}Wrist",
        "Left",
        "Right",
        between={9: (("Chest3", 0.4),)},
    ),
    "xsens mvn": _names(
        "Pelvis|L5|L3|T8|Neck|Head",
        "{}UpperLeg|{}LowerLeg|{}Foot|{}Toe",
        "{}Shoulder|{}UpperArm|{}ForeArm|{}Hand",
        "Left",
        "Right",
        between={9: (("T12", 0.5),)},
    ),
    "amc2bvh": _names(
        "hip|lowerback|upperback|thorax|lowerneck|head",
        "{}femur|{}tibia|{}foot|{}toes",
        "{}clavicle|{}humerus|{}radius|{}wrist",
        "l",
        "r",
        between={15: (("upperneck", 0.5),)},
    ),
    "poser": _names(
        "hip|abdomen|chestLower|chest|neck|head",
        "{}Thigh|{}Shin|{}Foot|{}Toe",
        "{}Collar|{}Shldr|{}ForeArm|{}Hand",
        "l",
        "r",
    ),
    "daz genesis 8": _names(
        "hip|abdomenLower|abdomenUpper|chestUpper|neckLower|head",
        "{}ThighBend|{}Shin|{}Foot|{}Toe",
        "{}Collar|{}ShldrBend|{}ForearmBend|{}Hand",
        "l",
        "r",
        between={
            9: (("chestLower", 0.5),),
            4: (("lThighTwist", 0.5),),
            5: (("rThighTwist", 0.5),),
            10: (("lMetatarsals", 0.5),),
            11: (("rMetatarsals", 0.5),),
            18: (("lShldrTwist", 0.5),),
            19: (("rShldrTwist", 0.5),),
            20: (("lForearmTwist", 0.5),),
            21: (("rForearmTwist", 0.5),),
            15: (("neckUpper", 0.6),),
        },
    ),
    "character creator": _names(
        "CC_Base_Hip|CC_Base_Waist|CC_Base_Spine01|CC_Base_Spine02|CC_Base_NeckTwist01|CC_Base_Head",
        "CC_Base_{}_Thigh|CC_Base_{}_Calf|CC_Base_{}_Foot|CC_Base_{}_ToeBase",
        "CC_Base_{}_Clavicle|CC_Base_{}_Upperarm|CC_Base_{}_Forearm|CC_Base_{}_Hand",
        "L",
        "R",
        between={15: (("CC_Base_NeckTwist02", 0.5),)},
        root=("RL_BoneRoot",),
    ),
    "biped": _names(
        "Bip01 Pelvis|Bip01 Spine|Bip01 Spine1|Bip01 Spine2|Bip01 Neck|Bip01 Head",
        "Bip01 {} Thigh|Bip01 {} Calf|Bip01 {} Foot|Bip01 {} Toe0",
        "Bip01 {} Clavicle|Bip01 {} UpperArm|Bip01 {} Forearm|Bip01 {} Hand",
        "L",
        "R",
        root=("Bip01",),
    ),
    "vrm": _names(
        "J_Bip_C_Hips|J_Bip_C_Spine|J_Bip_C_Chest|J_Bip_C_UpperChest|J_Bip_C_Neck|J_Bip_C_Head",
        "J_Bip_{}_UpperLeg|J_Bip_{}_LowerLeg|J_Bip_{}_Foot|J_Bip_{}_ToeBase",
        "J_Bip_{}_Shoulder|J_Bip_{}_UpperArm|J_Bip_{}_LowerArm|J_Bip_{}_Hand",
        "L",
        "R",
        root=("Root",),
    ),
    "vrm humanoid": _names(
        "hips|spine|chest|upperChest|neck|head",
        "{}UpperLeg|{}LowerLeg|{}Foot|{}Toes",
        "{}Shoulder|{}UpperArm|{}LowerArm|{}Hand",
        "left",
        "right",
    ),
    "soma": _names(
        "Hips|Spine1|Spine2|Chest|Neck1|Head",
        "{}Leg|{}Shin|{}Foot|{}ToeBase",
        _MIXAMO_ARM,
        "Left",
        "Right",
        between={15: (("Neck2", 0.5),)},
        root=("Root",),
    ),
    "rokoko": _names(
        "Hips|Spine1|Spine2|Spine4|Neck|Head",
        "{}Thigh|{}Shin|{}Foot|{}Toe",
        _MIXAMO_ARM,
        "Left",
        "Right",
        between={9: (("Spine3", 0.5),)},
    ),
    "mb-lab": _names(
        "pelvis|spine01|spine02|spine03|neck|head",
        "thigh_{}|calf_{}|foot_{}|toes_{}",
        _UE_ARM,
        "L",
        "R",
        root=("root",),
    ),
    "rigify": _names(
        "DEF-spine|DEF-spine.001|DEF-spine.002|DEF-spine.003|DEF-spine.004|DEF-head",
        "DEF-thigh.{}|DEF-shin.{}|DEF-foot.{}|DEF-toe.{}",
        "DEF-shoulder.{}|DEF-upper_arm.{}|DEF-forearm.{}|DEF-hand.{}",
        "L",
        "R",
        between={4: (("DEF-thigh.L.001", 0.5),), 5: (("DEF-thigh.R.001", 0.5),)},
        root=("root",),
    ),
    "unreal": _names(
        "pelvis|spine_01|spine_02|spine_05|neck_01|head",
        _UE_LEG,
        _UE_ARM,
        "l",
        "r",
        between={9: (("spine_03", 0.3), ("spine_04", 0.6)), 15: (("neck_02", 0.5),)},
        root=("root",),
    ),
    "smpl": _names(
        "Pelvis|Spine1|Spine2|Spine3|Neck|Head",
        "{}_Hip|{}_Knee|{}_Ankle|{}_Foot",
        "{}_Collar|{}_Shoulder|{}_Elbow|{}_Wrist",
        "L",
        "R",
    ),
    "makehuman": _names(
        "spine05|spine04|spine03|spine01|neck01|head",
        "upperleg01.{}|lowerleg01.{}|foot.{}|toe1-1.{}",
        "clavicle.{}|upperarm01.{}|lowerarm01.{}|wrist.{}",
        "L",
        "R",
        between={
            4: (("upperleg02.L", 0.5),),
            5: (("upperleg02.R", 0.5),),
            9: (("spine02", 0.5),),
            16: (("shoulder01.L", 0.4),),
            17: (("shoulder01.R", 0.4),),
        },
        root=("root",),
    ),
    "kinect": _names(
        "SpineBase|SpineLow|SpineMid|SpineShoulder|Neck|Head",
        "Hip{}|Knee{}|Ankle{}|Foot{}",
        "Clavicle{}|Shoulder{}|Elbow{}|Wrist{}",
        "Left",
        "Right",
    ),
    "deepmotion": _names(
        "hips_JNT|spine_JNT|spine1_JNT|spine2_JNT|neck_JNT|head_JNT",
        "{}_upleg_JNT|{}_leg_JNT|{}_foot_JNT|{}_toebase_JNT",
        "{}_shoulder_JNT|{}_arm_JNT|{}_forearm_JNT|{}_hand_JNT",
        "l",
        "r",
    ),
    "theia": _names(
        "pelvis|abdomen|torso_low|torso|neck|head",
        "{}_thigh|{}_shank|{}_foot|{}_toes",
        "{}_clavicle|{}_uarm|{}_larm|{}_hand",
        "l",
        "r",
    ),
    "optitrack": _names(
        "Hip|Ab|Ab2|Chest|Neck|Head",
        "{}Thigh|{}Shin|{}Foot|{}Toe",
        "{}Shoulder|{}UArm|{}FArm|{}Hand",
        "L",
        "R",
    ),
}
"""After the software or the project that writes such files."""


@dataclass(frozen=True)
class Take:
    """joints: (T, 22, 3) metres, Y up. local: (T, 22, 3, 3), pelvis first. root: (T, 3)."""

    joints: np.ndarray
    local: np.ndarray
    root: np.ndarray


@cache
def take(frames: int = 60, fps: float = 30.0, size: float = 1.0) -> Take:
    """A walk along +Z with the right arm up and waving; `size` 1 is a body of 1.7 m."""
    time = np.arange(frames) / fps
    step = np.sin(2 * np.pi * time)
    angles = np.zeros((frames, 22, 3))  # Y, X, Z
    for joint, swing in ((1, 0.5), (2, -0.5), (16, -0.3), (17, 0.0)):
        angles[:, joint, 1] = swing * step
    angles[:, [4, 5], 1] = 0.3 + 0.25 * np.stack((np.cos(2 * np.pi * time), -np.cos(2 * np.pi * time)), 1)
    angles[:, 16, 2], angles[:, 17, 2] = -1.3, -1.1
    angles[:, 19, 2] = -0.4 + 0.4 * np.sin(9 * time)
    angles[:, 0, 0], angles[:, 3, 0], angles[:, 9, 1] = 0.1 * step, 0.1 * step, 0.1
    local = quaternion_to_matrix(euler_to_quaternion(torch.from_numpy(angles), "YXZ"))
    root = size * np.stack((0.02 * step, 0.93 - 0.01 * np.abs(step), 1.1 * time), axis=-1)
    offsets = size * torch.tensor(REST, dtype=torch.float64)[None, None, 1:]
    joints = forward_kinematics(local[None], offsets, torch.from_numpy(root)[None])[0]
    return Take(joints.numpy(), local.numpy(), root)


def bvh_text(
    names: Names,
    motion: Take,
    fps: float = 30.0,
    up: str = "y",
    unit: float = 0.01,
    order: str = "ZXY",
    size: float = 1.0,
) -> str:
    """The take as a BVH file with these names, in a world with `up` up, numbers in `unit` metres."""
    turn = TURNS[up]
    nodes = _nodes(names)
    rows = [list[float]() for _ in motion.root]
    lines: list[str] = ["HIERARCHY"]

    def write(place: int, depth: int) -> None:
        name, _, offset, joint = nodes[place]
        pad, first = "\t" * depth, place == 0
        at = turn @ (size * np.array(offset)) / unit
        lines.append(f"{pad}{'ROOT' if first else 'JOINT'} {name}")
        lines.append(pad + "{")
        lines.append(f"{pad}\tOFFSET " + " ".join(f"{value:.6f}" for value in at))
        rotation = " ".join(f"{axis}rotation" for axis in order)
        moving = first or joint == 0
        lines.append(
            f"{pad}\tCHANNELS "
            + (f"6 Xposition Yposition Zposition {rotation}" if moving else f"3 {rotation}")
        )
        local = motion.local[:, joint] if joint is not None else np.broadcast_to(np.eye(3), (len(rows), 3, 3))
        angles = np.rad2deg(matrix_to_euler(torch.from_numpy(turn @ local @ turn.T), order).numpy())
        for frame, row in enumerate(rows):
            if moving:
                row += (turn @ motion.root[frame] / unit).tolist() if joint == 0 else [0.0, 0.0, 0.0]
            row += angles[frame].tolist()
        children = [other for other, node in enumerate(nodes) if node[1] == place]
        for child in children:
            write(child, depth + 1)
        if not children:
            tip = turn @ (size * np.array(_tip(joint))) / unit
            lines.extend(
                [
                    f"{pad}\tEnd Site",
                    pad + "\t{",
                    f"{pad}\t\tOFFSET " + " ".join(f"{value:.6f}" for value in tip),
                ]
            )
            lines.append(pad + "\t}")
        lines.append(pad + "}")

    write(0, 0)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.6f}"]
    return "\n".join([*lines, *(" ".join(f"{value:.6f}" for value in row) for row in rows)]) + "\n"


_Node = tuple[str, int, tuple[float, float, float], int | None]


def _nodes(names: Names) -> list[_Node]:
    """Name, parent, offset and SMPL joint (None for one of the convention's own), parents first."""
    nodes: list[_Node] = []
    for name in names.root:
        nodes.append((name, len(nodes) - 1, (0.0, 0.0, 0.0), None))
    where: dict[int, int] = {}
    for joint, parent in enumerate(SMPL22.parents):
        if joint in names.without:
            continue
        offset, at = np.array(REST[joint], dtype=float), where[parent] if parent >= 0 else len(nodes) - 1
        done = 0.0
        for name, part in names.between.get(joint, ()):
            nodes.append((name, at, tuple((part - done) * offset), None))  # type: ignore[arg-type]
            at, done = len(nodes) - 1, part
        nodes.append((names.joints[joint], at, tuple((1 - done) * offset), joint))  # type: ignore[arg-type]
        where[joint] = len(nodes) - 1
    for joint, chains in names.extra.items():
        for chain in chains:
            at = where[joint]
            for name, offset in chain:
                nodes.append((name, at, offset, None))
                at = len(nodes) - 1
    return nodes


def fingers_and_face() -> dict[int, tuple[tuple[tuple[str, tuple[float, float, float]], ...], ...]]:
    """Five fingers a hand, eyes and a jaw, and a long tail of hair: joints that are in nobody's way but a guess's."""
    extra: dict[int, tuple[tuple[tuple[str, tuple[float, float, float]], ...], ...]] = {}
    for hand, side in ((20, 1.0), (21, -1.0)):
        extra[hand] = tuple(
            tuple(
                (f"f{hand}{finger}{bone}", (side * (0.09 if bone == 0 else 0.03), 0.0, 0.02 * (finger - 2)))
                for bone in range(3)
            )
            for finger in range(5)
        )
    eyes = tuple(((f"e{side}", (0.03 * side, 0.08, 0.09)),) for side in (1, -1))
    hair = tuple((f"hair{number}", (0.0, -0.12, -0.02)) for number in range(5))
    extra[15] = (*eyes, (("jaw", (0.0, 0.02, 0.06)),), hair)
    return extra


def _tip(joint: int | None) -> tuple[float, float, float]:
    ends = {7: REST[10], 8: REST[11], 15: (0, 0.16, 0), 20: (0.15, 0, 0), 21: (-0.15, 0, 0)}
    return ends.get(joint if joint is not None else -1, (0, 0, 0.06))
