"""Kimodo's files and skeletons against its published code: npz, SOMA's 77 joints and BVH, AMASS, the G1's qpos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionrft.files.formats.smpl_parameters import smpl_parameters
from motionrft.files.motions import read_motions
from motionrft.files.recording import Motion
from motionrft.representations.kimodo.g1 import (
    HINGE_AXES,
    HINGES,
    hinge_angles,
    joints_of_qpos,
    pose_of_qpos,
    published_angles,
    qpos_of_pose,
)
from motionrft.representations.kimodo.skeletons import (
    G1,
    SOMA30,
    SOMA30_IN_77,
    SOMA77,
    joints22,
    numbers,
    posed_joints,
    soma30_to_77,
)
from motionrft.representations.rotation import rotation_matrices, turn_rotation
from motionrft.rotations import matrix_to_quaternion, quaternion_to_rotation_vector
from tests.parity.golden import Case, cases

FOLDER = "kimodo"
TO_Z_UP = torch.tensor([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=torch.float64)


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=tolerance)


def written(folder: Path, name: str, data: Tensor) -> Path:
    (folder / name).write_bytes(data.numpy().tobytes())
    return folder / name


def alone(path: Path) -> Motion:
    (motion,) = read_motions(path)
    return motion


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_npz"))
def test_a_published_motion_is_read_from_its_file(case: Case, tmp_path: Path) -> None:
    assert case.info["joint_names"] == list(SOMA30.names)
    motion = alone(written(tmp_path, "a.npz", case["in/npz_bytes"]))
    assert motion.fps == case.info["fps"] and motion.representation == "joints"
    close(torch.from_numpy(motion.array), case["out/joints22"], 1e-6)
    root = case["out/posed_joints"][:, 0].double()
    posed, _ = posed_joints(case["out/local_rot_mats"].double(), root, SOMA30.rest_joints, SOMA30.parents)
    close(posed, case["out/posed_joints"], 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="soma30_to_77_and_bvh"))
def test_soma_has_77_joints_outside_and_both_its_bvh_are_read(case: Case, tmp_path: Path) -> None:
    assert case.info["joint_names_77"] == list(SOMA77.names)
    assert list(SOMA77.parents) == case["in/parents_77"].tolist()
    assert list(SOMA30_IN_77) == case["in/index_of_30_in_77"].tolist()
    local = soma30_to_77(case["in/local_rot_mats"].double())
    close(local, case["out/local_rot_mats_77"], 1e-6)
    root = case["in/root_positions"].double()
    posed, world = posed_joints(local, root, SOMA77.rest_joints, SOMA77.parents)
    close(posed, case["out/posed_joints_77"], 1e-6)
    close(world, case["out/global_rot_mats_77"], 1e-6)
    for rest in ("seed_rest", "standard_tpose"):
        motion = alone(written(tmp_path, f"{rest}.bvh", case[f"out/bvh_{rest}_utf8"]))
        assert motion.fps == 30 and motion.notes[0] == "soma skeleton"
        close(torch.from_numpy(motion.array), joints22(case["out/posed_joints_77"]), 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_amass"))
@pytest.mark.parametrize("up", ["z_up", "y_up"])
def test_amass_parameters_are_the_motion_they_were_made_of(case: Case, up: str) -> None:
    members = {
        name: case[f"out/{up}/{name}"].double().numpy() for name in ("trans", "root_orient", "pose_body")
    }
    found = smpl_parameters(members)
    assert found is not None
    rest = case["in/rest_joints"].double()
    rotation = torch.from_numpy(found.rotation())
    if up == "z_up":
        rotation = turn_rotation(rotation, TO_Z_UP.T, rest)
    close(rotation_matrices(rotation), case["in/local_rot_mats"], 1e-5)
    close(rotation[:, :3] + rest[0], case["in/root_positions"], 1e-5)
    posed, _ = posed_joints(
        rotation_matrices(rotation), rotation[:, :3] + rest[0], rest, tuple(case["in/parents"].tolist())
    )
    close(posed, case["out/posed_joints"], 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="g1_qpos"))
def test_rows_for_mujoco_are_the_robots_joints(case: Case) -> None:
    assert [name.removesuffix("_skel") for name in case.info["joint_names"]] == list(G1.names)
    assert list(G1.parents) == case["in/parents"].tolist()
    assert list(HINGES) == case["in/hinge_joint"].tolist()
    assert list(HINGE_AXES) == case["in/hinge_axis_kimodo"].argmax(1).tolist()
    local, root = pose_of_qpos(case["out/qpos"].double())
    close(local, case["out/from_qpos_local_rot_mats"], 1e-5)
    close(root, case["out/from_qpos_root_positions"], 1e-5)
    close(joints_of_qpos(case["out/qpos"].double())[0], case["out/from_qpos_posed_joints"], 1e-5)
    close(numbers("g1.limits")[:, 0], case["in/limits_min"], 1e-6)


@pytest.mark.parametrize("case", cases(FOLDER, op="g1_qpos"))
@pytest.mark.parametrize("variant", ["qpos", "qpos_quaternion_last"])
def test_a_csv_is_read_with_its_quaternion_in_either_order(case: Case, variant: str, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", case[f"out/{variant}"].double().numpy(), delimiter=",")
    motion = alone(tmp_path / "a.csv")
    posed, world = joints_of_qpos(case["out/qpos"].double())
    close(torch.from_numpy(motion.array), joints22(posed, world), 1e-5)
    assert motion.fps == 30


@pytest.mark.parametrize("case", cases(FOLDER, op="g1_qpos"))
def test_rotations_that_no_hinge_can_make_become_the_rows_that_are_published(case: Case) -> None:
    rows = qpos_of_pose(case["in/local_rot_mats"].double(), case["in/root_positions"].double())
    sign = torch.sign((rows[:, 3:7] * case["out/qpos"][:, 3:7]).sum(-1, keepdim=True))
    found = torch.cat((rows[:, :3], rows[:, 3:7] * sign, rows[:, 7:]), dim=-1)
    close(found, case["out/qpos"], 1e-5)
    standing = torch.eye(3).double().expand(G1.joints, 3, 3)
    close(published_angles(standing), case["out/rest_dofs"], 1e-6)
    close(found[:, 7:] - published_angles(standing), case["out/qpos_rest_zero"][:, 7:], 1e-5)


@pytest.mark.parametrize("case", cases(FOLDER, op="g1_qpos"))
def test_the_nearest_angle_of_what_a_hinge_can_make_is_its_own(case: Case) -> None:
    local, _ = pose_of_qpos(case["out/qpos"].double())
    angles, left = hinge_angles(local)
    close(angles, case["out/qpos"][:, 7:], 1e-5)
    close(left, torch.zeros_like(left), 1e-6)


@pytest.mark.parametrize("case", cases(FOLDER, op="g1_qpos"))
@pytest.mark.parametrize("within", [True, False])
def test_the_published_projection_is_the_pose_of_rows_within_the_ranges(case: Case, within: bool) -> None:
    """Its angle is the rotation vector's part along the hinge, its ranges are counted from Kimodo's own rest pose."""
    local, hinges = case["in/local_rot_mats"].double(), list(HINGES)
    turned = local[:, hinges] @ numbers("g1.hinge_offsets", local)[hinges]
    vectors = quaternion_to_rotation_vector(matrix_to_quaternion(turned))  # (T, 29, 3)
    angles = vectors.gather(-1, torch.tensor(HINGE_AXES)[:, None].expand(len(local), -1, -1))[..., 0]
    if within:
        rest, (least, most) = (
            case["out/rest_dofs_axis_angle"].double(),
            numbers("g1.limits", local).unbind(-1),
        )
        angles = (angles - rest).clamp(least, most) + rest
    rows = qpos_of_pose(local, case["in/root_positions"].double())
    made, root = pose_of_qpos(torch.cat((rows[:, :7], angles), dim=-1))
    projected = local.clone()
    projected[:, hinges] = made[:, hinges]  # ends and the root stay as they are
    if within:
        close(projected, case["out/projected_local_rot_mats"], 1e-5)
    name = "projected_posed_joints" if within else "projected_unclamped_posed_joints"
    close(posed_joints(projected, root, G1.rest_joints, G1.parents)[0], case[f"out/{name}"], 1e-5)


def test_the_published_angles_are_off_where_a_frame_is_tilted_across_its_hinge() -> None:
    rows = torch.zeros(1, 36, dtype=torch.float64)
    rows[:, 3], rows[:, 7:] = 1, 0.7 * numbers("g1.limits").sign()[:, 1]
    local, _ = pose_of_qpos(rows)
    off = (published_angles(local) - rows[:, 7:]).abs()[0]
    tilted = [
        place
        for place, joint in enumerate(HINGES)
        if G1.names[joint].endswith(("hip_roll", "shoulder_pitch"))
    ]
    assert 1e-3 < float(off[tilted].max()) < 5e-3
    off[tilted] = 0
    assert float(off.max()) < 1e-6
