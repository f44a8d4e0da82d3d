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


def tree(*chains: str) -> SkeletonTree:
    """A tree from chains of names, each starting at a joint that is there already; all bones are equally long."""
    names, parents = [chains[0].split(">")[0]], [-1]
    for chain in chains:
        first, *rest = chain.split(">")
        parent = names.index(first)
        for name in rest:
            parents.append(parent)
            parent = len(names)
            names.append(name)
    return SkeletonTree(tuple(names), tuple(parents), np.ones((len(names), 3)))


OLD_BIPED = (
    "Bip01>Bip01 Pelvis>Bip01 Spine>Bip01 Spine1>Bip01 Spine2>Bip01 Neck>Bip01 Head>Bip01 HeadNub",
    "Bip01 Spine>Bip01 L Thigh>Bip01 L Calf>Bip01 L Foot>Bip01 L Toe0",
    "Bip01 Spine>Bip01 R Thigh>Bip01 R Calf>Bip01 R Foot>Bip01 R Toe0",
    "Bip01 Neck>Bip01 L Clavicle>Bip01 L UpperArm>Bip01 L Forearm>Bip01 L Hand>Bip01 L Finger0",
    "Bip01 Neck>Bip01 R Clavicle>Bip01 R UpperArm>Bip01 R Forearm>Bip01 R Hand>Bip01 R Finger0",
)
NO_COLLARS = (
    "pelvis>torso>chest>neck>head>head End",
    *(f"pelvis>{side}_thigh>{side}_shin>{side}_foot>{side}_foot End" for side in ("left", "right")),
    *(f"chest>{side}_upper_arm>{side}_lower_arm>{side}_hand" for side in ("left", "right")),
)


def test_an_old_biped_has_its_thighs_on_the_spine_and_its_collars_on_the_neck() -> None:
    sources = recognise(tree(*OLD_BIPED), "a.bvh").joint_map.sources
    assert [sources[joint] for joint in (0, 3, 6, 9, 12, 15)] == [
        "Bip01 Pelvis",
        *("Bip01 Spine", "Bip01 Spine1", "Bip01 Spine2", "Bip01 Neck", "Bip01 Head"),
    ]
    assert sources[13] == "Bip01 L Clavicle" and sources[11] == "Bip01 R Toe0"


def test_collars_and_vertebrae_that_a_skeleton_lacks_lie_between_its_neighbours() -> None:
    found = recognise(tree(*NO_COLLARS), "a.bvh")
    sources = found.joint_map.sources
    assert not found.guessed
    assert sources[13] == {"chest": 0.6, "left_upper_arm": 0.4}
    assert sources[3] == "torso" and sources[6] == {"torso": 0.5, "chest": 0.5} and sources[9] == "chest"
    assert sources[10] == "left_foot End"


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


def test_legs_alone_do_not_make_a_person() -> None:
    """A trunk of two metres on a person's legs: no unit fits both, which is said instead of guessed by the legs."""
    joints = people(2, 1)[0].numpy() * 100
    upper = [3, 6, 9, 12, 15]
    joints[:, upper] = joints[:, :1] + 3 * (joints[:, upper] - joints[:, :1])
    assert not guess_unit(joints).human
