"""Skeletons by other names, and units by the length of a leg."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.files.joint_maps import CMU as BUILT_IN_CMU
from motionrft.files.joint_maps import joint_map_of, read_joint_map
from motionrft.files.recognition import recognise
from motionrft.files.skeleton_tree import SkeletonTree
from motionrft.files.units import UNITS, guess_unit
from motionrft.skeleton import SMPL22
from tests.representations.people import people

CMU = (
    *("Hips", "LHipJoint", "RHipJoint", "LowerBack", "Spine", "Spine1", "Neck", "Neck1", "Head", "Head End"),
    *(f"{side}{name}" for side in ("Left", "Right") for name in ("Shoulder", "Arm", "ForeArm", "Hand")),
    *(f"{side}{name}" for side in ("Left", "Right") for name in ("UpLeg", "Leg", "Foot", "ToeBase")),
)


def test_cmus_own_skeleton_has_a_map_of_its_own() -> None:
    """Its joints are called after the bone that starts there: Neck stands where SMPL's spine3 does."""
    tree = SkeletonTree(CMU, (-1, *[0] * (len(CMU) - 1)), np.ones((len(CMU), 3)))
    found = recognise(tree, "a.bvh")
    assert found.joint_map is BUILT_IN_CMU and not found.guessed
    assert found.joint_map.sources[9] == "Neck" and found.joint_map.sources[15] == "Head End"
    torch.testing.assert_close(found.joint_map.matrix(CMU).sum(1), torch.ones(22, dtype=torch.float64))


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
    [({"tail": "Tail"}, "unknown"), ({"head": 3.5}, "head: 3.5 is neither"), ({"head": []}, "neither")],
)
def test_mistakes_in_a_map_are_named(change: dict[str, object], says: str) -> None:
    table: dict[str, object] = {name: name for name in SMPL22.names} | change
    with pytest.raises(UserError, match=says):
        joint_map_of(table, "map.yaml")
    with pytest.raises(UserError, match="missing"):
        joint_map_of({"head": "Head"}, "map.yaml")


@pytest.mark.parametrize("unit", list(UNITS))
def test_the_unit_follows_from_the_body(unit: str) -> None:
    assert guess_unit(people(2, 1)[0].numpy() / UNITS[unit]).unit == unit
