"""Laws of the rotation representation and its inverse kinematics."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionrft.representations.rotation import (
    MANNEQUIN_REST,
    default_rest_joints,
    fit_rest_joints,
    joints_to_rotation,
    rotation_matrices,
    rotation_to_joints,
)
from motionrft.skeleton import SMPL22
from tests.representations.people import people, rotations

quick = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 10**6)


def test_default_rest_pose_is_an_upright_t_pose_with_the_target_bones() -> None:
    rest = default_rest_joints()
    lengths = (rest[1:] - rest[list(SMPL22.parents[1:])]).norm(dim=-1)
    torch.testing.assert_close(lengths, SMPL22.target_offsets[1:].norm(dim=-1))
    assert rest[15, 1] > rest[0, 1] > rest[10, 1]
    assert rest[20, 0] > rest[18, 0] > rest[16, 0] > 0 > rest[21, 0]


@quick
@given(seeds)
def test_joints_come_back_when_the_rest_pose_is_theirs(seed: int) -> None:
    joints = people(12, seed)
    again = rotation_to_joints(joints_to_rotation(joints))
    torch.testing.assert_close(again, joints, rtol=0, atol=1e-9)


@quick
@given(seeds, st.floats(0.5, 2))
def test_a_fitted_rest_pose_loses_nothing_on_a_rigid_skeleton(seed: int, size: float) -> None:
    mannequin = torch.tensor(MANNEQUIN_REST, dtype=torch.float64)
    joints = size * rotation_to_joints(rotations(12, seed, batch=2), mannequin)
    rest = fit_rest_joints(joints)
    assert _residual(joints, rest).max() < 1e-5 * size
    assert _residual(joints).min() > 1e-3


def _residual(joints: torch.Tensor, rest: torch.Tensor | None = None) -> torch.Tensor:
    """Mean distance, metres, (B,), between joints and forward kinematics of the rotations fitted to them."""
    again = rotation_to_joints(joints_to_rotation(joints, rest), rest)
    return (again - joints).norm(dim=-1).mean((1, 2))


def test_a_batch_with_lengths_equals_each_clip_alone() -> None:
    one, two = people(9, 1), people(14, 2)
    batch = torch.full((2, 14, 22, 3), 7.0, dtype=torch.float64)
    batch[0, :9], batch[1] = one[0], two[0]
    lengths = torch.tensor([9, 14])
    fitted = fit_rest_joints(batch, lengths=lengths)
    torch.testing.assert_close(fitted[:1], fit_rest_joints(one))
    rotation = joints_to_rotation(batch, fitted, lengths)
    torch.testing.assert_close(rotation[:1, :9], joints_to_rotation(one, fitted[:1]))
    torch.testing.assert_close(rotation[1:], joints_to_rotation(two, fitted[1:]))
    assert not rotation[0, 9:].any()
    assert not rotation_to_joints(rotation, fitted, lengths)[0, 9:].any()


def test_identity_rotations_give_the_rest_pose() -> None:
    still = torch.zeros(1, 3, 135, dtype=torch.float64)
    still[..., 3:] = torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64).repeat(22)
    torch.testing.assert_close(rotation_to_joints(still)[0, 1], default_rest_joints())


def test_raw_sixd_becomes_orthonormal() -> None:
    raw = torch.randn(2, 5, 135, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrices = rotation_matrices(raw)
    identity = torch.eye(3, dtype=torch.float64).expand_as(matrices)
    torch.testing.assert_close(matrices @ matrices.transpose(-1, -2), identity)
    assert torch.linalg.det(matrices).min() > 0.999


def test_gradients_equal_finite_differences() -> None:
    rotation = rotations(2, 3).clone().requires_grad_()
    assert torch.autograd.gradcheck(rotation_to_joints, (rotation,), fast_mode=True)
    joints = people(2, 3).clone().requires_grad_()
    assert torch.autograd.gradcheck(joints_to_rotation, (joints,), fast_mode=True)


def test_degenerate_joints_give_finite_rotations() -> None:
    assert joints_to_rotation(torch.zeros(1, 4, 22, 3)).isfinite().all()
