"""Parity with published code: features, joints, rotations, statistics, BVH."""

from typing import Any

import pytest
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.bvh_reading import parse_bvh
from motionrft.files.formats.bvh import Retargeted
from motionrft.files.joint_maps import JointMap
from motionrft.files.units import UNITS, guess_unit
from motionrft.representations.hymotion import (
    hymotion_to_rotation,
    rotation_to_hymotion,
    smooth_rotation,
)
from motionrft.representations.joints import mirror_joints
from motionrft.representations.kinematic import (
    joints_to_kinematic,
    kinematic_to_joints,
    normalise_joints,
)
from motionrft.representations.rotation import rotation_matrices, rotation_to_joints
from motionrft.representations.statistics import Statistics
from motionrft.rotations import (
    dot,
    matrix_to_quaternion,
    matrix_to_sixd,
    quaternion_to_matrix,
    quaternion_to_sixd,
    sixd_to_matrix,
)
from motionrft.skeleton import SKELETONS
from tests.parity.formulas import denormalise_hymotion, kinematic_rotations_to_joints, normalise_hymotion
from tests.parity.golden import Case, cases

FOLDER = "representations"


def close(actual: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=0, atol=atol)


def tolerance(info: dict[str, Any], block: str) -> float:
    """Twenty times the official code's own float32 noise, at least 1e-4."""
    return max(1e-4, 20 * info.get("deviation_of_a_float64_run", {}).get(block, 0.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", cases(FOLDER, op="joints_to_kinematic"))
def test_joints_to_kinematic(case: Case, dtype: torch.dtype) -> None:
    info, joints = case.info, case["in/joints"].to(dtype)[None]
    skeleton = SKELETONS[info["skeleton"]]
    assert joints.shape[2] == skeleton.joints
    target, threshold = case["in/target_offsets"], info["feet_threshold"]
    if joints.shape[1] < 2:
        with pytest.raises(UserError):
            joints_to_kinematic(joints, target_offsets=target)
        return
    features = joints_to_kinematic(
        joints, target_offsets=target, contact_threshold=threshold, official_yaw=True
    )[0]
    normalised = normalise_joints(joints, target_offsets=target)[0]
    if not info.get("official_is_finite", True):
        assert features.isfinite().all() and normalised.isfinite().all()
        return
    for block, (start, end) in info["blocks"].items():
        if block != "contact":
            close(features[:, start:end], case["out/kinematic"][:, start:end], tolerance(info, block))
    close(normalised, case["out/normalised_joints"], tolerance(info, "normalised_joints"))
    close(kinematic_to_joints(features[None])[0], case["out/recovered_joints"], 1e-4)
    start, end = info["blocks"]["contact"]
    step = case["out/normalised_joints"].diff(dim=0)[:, list(skeleton.feet)].square().sum(-1)
    clear = (step - threshold).abs() > 1e-6
    assert torch.equal(features[:, start:end][clear], case["out/kinematic"][:, start:end].to(dtype)[clear])


@pytest.mark.parametrize("case", cases(FOLDER, op="kinematic_to_joints"))
def test_kinematic_to_joints(case: Case) -> None:
    features = case["in/kinematic"][None]
    close(kinematic_to_joints(features)[0], case["out/joints"], 1e-5)
    rotated = kinematic_rotations_to_joints(features, target_offsets=case["in/target_offsets"])[0]
    close(rotated, case["out/joints_from_rot6d"], 1e-4)


@pytest.mark.parametrize("case", cases(FOLDER, op="mirror"))
def test_mirror(case: Case) -> None:
    mirrored = mirror_joints(case["in/joints"])
    close(mirrored, case["out/mirrored"], 1e-6)
    target = case.group("in/").get("target_offsets")
    threshold = case.info.get("feet_threshold")
    features = joints_to_kinematic(
        mirrored[None], target_offsets=target, contact_threshold=threshold, official_yaw=True
    )[0]
    close(features[:, :-4], case["out/kinematic_of_mirrored"][:, :-4], 1e-4)
    assert (features[:, -4:] != case["out/kinematic_of_mirrored"][:, -4:]).sum() <= 1


@pytest.mark.parametrize("case", cases(FOLDER, op="kinematic_statistics"))
def test_kinematic_statistics(case: Case) -> None:
    clips = case.group("in/")
    statistics = Statistics.of_clips([clips[f"kinematic_{number}"] for number in range(len(clips))])
    close(statistics.mean, case["out/mean"], 1e-5)
    close(statistics.std, case["out/std"], 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="rotation_to_joints"))
def test_rotation_to_joints(case: Case) -> None:
    rotation = case["in/rotation"]
    close(rotation_matrices(rotation), case["out/rotation_matrices"], 1e-5)
    size = max(1.0, float(rotation[:, :3].abs().max()))
    close(rotation_to_joints(rotation[None], case["in/rest_joints"])[0], case["out/joints"], 1e-4 * size)


@pytest.mark.parametrize("case", cases(FOLDER, op="rotation_codecs"))
def test_rotation_codecs(case: Case) -> None:
    quaternion, raw = case["in/quaternion_wxyz"], case["in/raw6d"]
    matrix = quaternion_to_matrix(quaternion)
    close(matrix, case["out/matrix"], 1e-5)
    for order in ("columns", "interleaved"):
        close(sixd_to_matrix(raw, order), case[f"out/matrix_from_raw6d_as_{order}"], 1e-5)
        close(matrix_to_sixd(matrix, order), case[f"out/rot6d_{order}"], 1e-5)
        close(quaternion_to_sixd(quaternion, order), case[f"out/rot6d_{order}"], 1e-5)
    expected = case["out/quaternion_from_matrix"]
    found = matrix_to_quaternion(matrix)
    close(found * dot(found, expected).sign().unsqueeze(-1), expected, 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="hymotion_201"))
def test_hymotion_201(case: Case) -> None:
    statistics = Statistics(case["in/mean"], case["in/std"])
    motion = rotation_to_hymotion(case["in/rotation_135"][None], case["in/rest_joints"])[0]
    close(motion, case["out/hymotion_201"], 1e-5)
    close(normalise_hymotion(motion, statistics), case["out/latent"], 1e-4)
    close(denormalise_hymotion(case["out/latent"], statistics), case["out/denormalised"], 1e-5)
    assert torch.equal(hymotion_to_rotation(motion), case["in/rotation_135"])


@pytest.mark.parametrize("case", cases(FOLDER, op="hymotion_smoothing"))
def test_hymotion_smoothing(case: Case) -> None:
    close(smooth_rotation(case["in/rotation"]), case["out/rotation"], 1e-4)


@pytest.mark.parametrize("case", cases(FOLDER, op="bvh_to_joints"))
def test_bvh_to_joints(case: Case) -> None:
    bvh = parse_bvh(case["in/bvh_utf8"].numpy().tobytes(), str(case))
    sources = tuple(
        source if isinstance(source, str) else {name: 1 / len(source) for name in source}
        for source in case.info["map"]
    )
    named = JointMap("golden", sources)
    for joint_map in (named, None):
        for fps in (20, 30):
            joints = Retargeted(bvh, str(case), joint_map).take(0, len(bvh), fps)
            unit = guess_unit(joints).unit
            assert unit is not None and UNITS[unit] == case.info["scale"]
            close(torch.from_numpy(joints * UNITS[unit]), case[f"out/joints_{fps}fps"], 1e-4)
