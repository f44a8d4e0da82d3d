"""Skeletons by other names, and units by the length of a leg."""

import json
import re
from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.files.joint_maps import (
    BUILT_IN,
    UNITS,
    guess_unit,
    joint_map_of,
    read_joint_map,
    recognise,
)
from motionrft.skeleton import SMPL22
from tests.representations.people import people

MIXAMO = (
    *("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head", "HeadTop_End"),
    *(f"{side}{name}" for side in ("Left", "Right") for name in ("Shoulder", "Arm", "ForeArm", "Hand")),
    *(f"{side}{name}" for side in ("Left", "Right") for name in ("UpLeg", "Leg", "Foot", "ToeBase")),
)
CMU = (
    *("Hips", "LHipJoint", "RHipJoint", "LowerBack", "Spine", "Spine1", "Neck", "Neck1", "Head", "Head End"),
    *MIXAMO[7:],
)
UNREAL = (
    *("root", "pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head"),
    *(f"{name}_{side}" for side in "lr" for name in ("clavicle", "upperarm", "lowerarm", "hand")),
    *(f"{name}_{side}" for side in "lr" for name in ("thigh", "calf", "foot", "ball")),
)
SMPL = (
    *("Pelvis", "Spine1", "Spine2", "Spine3", "Neck", "Head"),
    *(f"{side}_{name}" for side in "LR" for name in ("Collar", "Shoulder", "Elbow", "Wrist", "Hand")),
    *(f"{side}_{name}" for side in "LR" for name in ("Hip", "Knee", "Ankle", "Foot")),
)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (MIXAMO, "mixamo"),
        (tuple(f"mixamorig:{name}" for name in MIXAMO), "mixamo"),
        (tuple(f"mixamorig9_{name}" for name in MIXAMO), "mixamo"),
        (CMU, "cmu"),
        (UNREAL, "unreal"),
        (SMPL, "smpl"),
        (tuple(f"m_avg_{name}" for name in SMPL), "smpl"),
        (SMPL22.names, "smpl"),
    ],
)
def test_skeletons_are_recognised_by_their_names(names: tuple[str, ...], expected: str) -> None:
    joint_map = recognise(names, "a.bvh")
    assert joint_map.name == expected
    matrix = joint_map.matrix(names)
    torch.testing.assert_close(matrix.sum(1), torch.ones(22, dtype=torch.float64))
    left = [place for place, name in enumerate(names) if re.search(r"(_l$|Left|left|(^|_)L_)", name)]
    assert len(left) >= 8
    assert not matrix[[2, 5, 8, 11, 14, 17, 19, 21]][:, left].any()


def test_every_built_in_map_is_complete() -> None:
    assert all(len(joint_map.sources) == 22 for joint_map in BUILT_IN)


def test_an_unknown_skeleton_names_the_nearest_and_what_it_misses() -> None:
    with pytest.raises(UserError, match=r"nearest is mixamo, without lefthand.*--joint-map"):
        recognise([name for name in MIXAMO if name != "LeftHand"], "a.bvh")


def test_a_users_map_takes_names_means_and_weights(tmp_path: Path) -> None:
    table: dict[str, object] = {name: name.upper() for name in SMPL22.names}
    table["spine2"] = ["SPINE1", "SPINE3"]
    table["left_collar"] = {"SPINE3": 3, "LEFT_SHOULDER": 1}
    (tmp_path / "map.json").write_text(json.dumps(table))
    joint_map = read_joint_map(tmp_path / "map.json")
    names = [name.upper() for name in SMPL22.names]
    matrix = joint_map.checked(names, "a.bvh").matrix(names)
    assert matrix[6, [3, 9]].tolist() == [0.5, 0.5]
    assert matrix[13, [9, 16]].tolist() == [0.75, 0.25]
    with pytest.raises(UserError, match="which the file lacks"):
        joint_map.checked(names[1:], "a.bvh")


@pytest.mark.parametrize(
    ("change", "says"),
    [({"tail": "Tail"}, "unknown"), ({"head": 3}, "head: 3 is neither"), ({"head": []}, "neither")],
)
def test_mistakes_in_a_map_are_named(change: dict[str, object], says: str) -> None:
    table: dict[str, object] = {name: name for name in SMPL22.names} | change
    with pytest.raises(UserError, match=says):
        joint_map_of(table, "map.yaml")
    with pytest.raises(UserError, match="missing"):
        joint_map_of({"head": "Head"}, "map.yaml")


@pytest.mark.parametrize("unit", list(UNITS))
def test_the_unit_follows_from_the_legs(unit: str) -> None:
    assert guess_unit(people(2, 1)[0] / UNITS[unit]) == unit
