"""Kimodo's features against its published code: encoding, turning, normalising, decoding, and the smoothed path."""

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from motionrft.generators.kimodo_statistics import KimodoStatistics, PartStatistics, local_root
from motionrft.lengths import length_mask
from motionrft.representations.kimodo import features as kimodo
from motionrft.representations.kimodo.constraints import chains_of, read_wishes
from motionrft.representations.kimodo.features import KimodoFeatures
from motionrft.representations.kimodo.skeletons import (
    SKELETONS,
    SOMA30,
    KimodoSkeleton,
    posed_joints,
)
from motionrft.representations.kimodo.smooth_root import smooth_path
from tests.parity.golden import Case, cases

FOLDER = "kimodo"


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found.float(), expected.float(), rtol=0, atol=tolerance)


def statistics_of(tensors: dict[str, Tensor]) -> KimodoStatistics:
    """The three pairs of a case, `stats.PART.mean|std`."""
    parts = (
        PartStatistics(tensors[f"{name}.mean"], tensors[f"{name}.std"])
        for name in ("global_root", "local_root", "body")
    )
    return KimodoStatistics(*parts)


def skeleton_of(case: Case) -> KimodoSkeleton:
    """As the case says it, so that a skeleton of another order would be seen."""
    parents = tuple(case["in/parents"].tolist())
    skeleton = SKELETONS[len(parents)]
    hips = case.info.get("hip_joints_right_left", skeleton.hips)
    feet = case.info.get("foot_joints", skeleton.feet)
    return replace(skeleton, parents=parents, hips=tuple(hips), feet=tuple(feet))


@pytest.mark.parametrize("case", cases(FOLDER, op="motion_to_kimodo"))
def test_a_motion_becomes_features(case: Case) -> None:
    skeleton, rest = skeleton_of(case), case["in/rest_joints"].double()
    assert skeleton == SKELETONS[skeleton.joints], "the tables are those of the published code"
    local, root = case["in/local_rot_mats"].double(), case["in/root_positions"].double()
    found = kimodo.encode(local, root, skeleton, rest)
    posed, world = posed_joints(local, root, rest, skeleton.parents)
    close(posed, case["out/posed_joints"], 1e-6)
    close(world, case["out/global_rot_mats"], 1e-6)
    close(found, case["out/features"], 2e-5)
    assert torch.equal(KimodoFeatures(found).contacts, KimodoFeatures(case["out/features"]).contacts)
    statistics = statistics_of(case.group("in/stats."))
    features = case["out/features"]
    close(statistics.normalise(features), case["out/normalised"], 2e-5)
    close(kimodo.turn(features, torch.tensor(case.info["angle"])), case["out/rotated"], 2e-5)
    close(kimodo.canonical(features)[:, :5], case["out/canonical_root"], 2e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="motion_to_kimodo"))
def test_encoded_features_decode_to_the_motion(case: Case) -> None:
    skeleton, features = skeleton_of(case), KimodoFeatures(case["out/features"])
    world = features.rotations
    close(kimodo.local_rotations(world, skeleton.parents), case["out/decoded_local_rot_mats"], 1e-6)
    posed = kimodo.forward_kinematics(world, features.root, skeleton, case["in/rest_joints"])
    close(posed, case["out/decoded_posed_joints"], 1e-6)


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_to_motion"))
def test_features_that_are_no_motion_decode_as_published(case: Case) -> None:
    skeleton, statistics = skeleton_of(case), statistics_of(case.group("in/stats."))
    features = KimodoFeatures(statistics.denormalise(case["in/normalised"]))
    close(features.values, case["out/features"], 2e-5)
    close(features.rotations, case["out/global_rot_mats"], 5e-6)
    close(kimodo.local_rotations(features.rotations, skeleton.parents), case["out/local_rot_mats"], 5e-6)
    close(features.root, case["out/root_positions"], 2e-6)
    close(features.smooth_root, case["out/smooth_root_pos"], 2e-6)
    close(features.heading, case["out/global_root_heading"], 2e-6)
    close(features.heading_angle, case["out/heading_angle"], 1e-5)
    assert torch.equal(features.contacts, case["out/foot_contacts"])
    posed = kimodo.forward_kinematics(features.rotations, features.root, skeleton, case["in/rest_joints"])
    close(posed, case["out/posed_joints"], 1e-6)
    close(features.joints_of_positions(), case["out/posed_joints_from_positions"], 2e-6)
    valid = length_mask(case["in/lengths"], features.values.shape[1])
    local = local_root(features.values[..., :5], case["in/lengths"])
    close(local[valid], case["out/local_root"][valid], 1e-4)


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_to_motion"))
@pytest.mark.parametrize("way", ["rotations", "positions"])
def test_gradients_through_decoding(case: Case, way: str) -> None:
    x = case["in/normalised"].clone().requires_grad_()
    features = KimodoFeatures(statistics_of(case.group("in/stats.")).denormalise(x))
    if way == "rotations":
        skeleton = skeleton_of(case)
        joints = kimodo.forward_kinematics(
            features.rotations, features.root, skeleton, case["in/rest_joints"]
        )
    else:
        joints = features.joints_of_positions()
    (joints * case["in/grad_weight"]).sum().backward()
    assert x.grad is not None
    expected = case[f"out/grad_from_{way}"]
    close(x.grad, expected, 1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_smooth_root"))
def test_the_smoothed_path_is_half_a_frame_early_as_published(case: Case) -> None:
    for number in range(len(case.info["lengths"])):
        root = case[f"in/root_positions_{number}"]
        close(smooth_path(root), case[f"out/smooth_root_pos_{number}"], 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_constraints"))
def test_a_constraint_file_says_which_features_are_fixed(case: Case) -> None:
    wishes = json.loads(bytes(case["in/constraints_json"].numpy()))
    skeleton = replace(skeleton_of(case), names=tuple(case.info["joint_names"]))
    chains = {name: tuple(joints) for name, joints in case.info["end_effectors"].items()}
    all_chains = {"Hips": skeleton.names[:1], **chains}
    found = read_wishes(wishes, case.info["frames"], skeleton, case["in/rest_joints"], all_chains)
    assert torch.equal(found.mask, case["out/motion_mask"])
    close(found.observed, case["out/observed_motion"], 2e-5)
    if SKELETONS[skeleton.joints] is SOMA30:
        assert chains.items() <= chains_of(SOMA30).items()
