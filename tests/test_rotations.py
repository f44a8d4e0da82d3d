"""Rotation algebra: inverses, and what becomes of degenerate input."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionrft.rotations import (
    best_rotation,
    euler_to_quaternion,
    matrix_to_euler,
    matrix_to_quaternion,
    normalise,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_to_matrix,
    quaternion_to_sixd,
    shortest_arc,
    sixd_to_matrix,
    sixd_to_quaternion,
    slerp,
    yaw_quaternion,
    yaw_rotate,
)

ORDERS = ["".join(order) for order in itertools.permutations("XYZ")]
quick = settings(max_examples=20, deadline=None)


def random_quaternions(seed: int, count: int = 50) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return normalise(torch.randn(count, 4, generator=random, dtype=torch.float64))


@quick
@given(st.integers(0, 10**6))
def test_quaternions_matrices_and_sixd_agree(seed: int) -> None:
    q, v = random_quaternions(seed), torch.randn(50, 3, dtype=torch.float64)
    matrix = quaternion_to_matrix(q)
    torch.testing.assert_close((matrix @ v.unsqueeze(-1)).squeeze(-1), quaternion_rotate(q, v))
    torch.testing.assert_close(quaternion_to_matrix(matrix_to_quaternion(matrix)), matrix)
    for order in ("columns", "interleaved"):
        sixd = quaternion_to_sixd(q, order)
        torch.testing.assert_close(sixd_to_matrix(sixd, order), matrix)
        torch.testing.assert_close(quaternion_to_matrix(sixd_to_quaternion(sixd, order)), matrix)
    p = random_quaternions(seed + 1)
    product = quaternion_to_matrix(quaternion_multiply(p, q))
    torch.testing.assert_close(product, quaternion_to_matrix(p) @ matrix)
    identity = quaternion_multiply(q, quaternion_conjugate(q))
    torch.testing.assert_close(identity[:, 0], torch.ones(50, dtype=torch.float64))


@pytest.mark.parametrize("axes", ORDERS)
def test_euler_angles_come_back_also_at_gimbal_lock(axes: str) -> None:
    angles = torch.rand(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 6 - 3
    angles[:20, 1] = math.pi / 2
    angles[20:40, 1] = -math.pi / 2
    matrix = quaternion_to_matrix(euler_to_quaternion(angles, axes))
    again = quaternion_to_matrix(euler_to_quaternion(matrix_to_euler(matrix, axes), axes))
    torch.testing.assert_close(again, matrix, rtol=0, atol=1e-7)


def test_euler_order_is_intrinsic() -> None:
    """ZXY means R = Rz Rx Ry: the last listed turns the vector first."""
    angles = torch.tensor([math.pi / 2, 0.0, math.pi / 2], dtype=torch.float64)
    turned = quaternion_rotate(
        euler_to_quaternion(angles, "ZXY"), torch.tensor([0.0, 0, 1], dtype=torch.float64)
    )
    torch.testing.assert_close(turned, torch.tensor([0.0, 1, 0], dtype=torch.float64))


@quick
@given(st.integers(0, 10**6))
def test_shortest_arc_turns_u_onto_v(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    u, v = normalise(torch.randn(2, 30, 3, generator=random, dtype=torch.float64))
    torch.testing.assert_close(quaternion_rotate(shortest_arc(u, v), u), v)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1e-12, 1e-7, 1e-4])
def test_opposite_vectors_turn_half_way_round(dtype: torch.dtype, offset: float) -> None:
    u = torch.eye(3, dtype=dtype)
    v = normalise(-u + offset * torch.tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=dtype))
    q = shortest_arc(u, v)
    torch.testing.assert_close(quaternion_rotate(q, u), v, rtol=0, atol=1e-5)
    torch.testing.assert_close(q.norm(dim=-1), torch.ones(3, dtype=dtype))


def test_shortest_arc_to_nothing_is_the_identity() -> None:
    q = shortest_arc(torch.tensor([0.0, 1, 0]), torch.zeros(3))
    torch.testing.assert_close(q, torch.tensor([1.0, 0, 0, 0]))


def test_a_time_axis_of_three_is_no_vector() -> None:
    """The cross product must run over the last axis, whatever the others measure."""
    u = torch.tensor([0.0, 1, 0], dtype=torch.float64).expand(3, 3, 3)
    v = normalise(torch.randn(3, 3, 3, dtype=torch.float64))
    torch.testing.assert_close(quaternion_rotate(shortest_arc(u, v), u), v)


def test_yaw_is_a_rotation_about_y() -> None:
    angle, v = torch.randn(7, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(yaw_rotate(angle, v), quaternion_rotate(yaw_quaternion(angle), v))


@quick
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_slerp_divides_the_angle(seed: int, fraction: float) -> None:
    p, q = random_quaternions(seed), random_quaternions(seed + 7)
    middle = slerp(p, q, torch.tensor(fraction, dtype=torch.float64))

    def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return 2 * torch.acos((a * b).sum(-1).abs().clamp(max=1))

    torch.testing.assert_close(angle(p, middle), fraction * angle(p, q), rtol=0, atol=1e-6)
    torch.testing.assert_close(middle.norm(dim=-1), torch.ones(50, dtype=torch.float64))


def test_slerp_between_equal_rotations_is_that_rotation() -> None:
    q = random_quaternions(3)
    torch.testing.assert_close(slerp(q, -q, torch.tensor(0.3, dtype=torch.float64)), q)


def test_best_rotation_finds_the_rotation_and_never_a_reflection() -> None:
    q = random_quaternions(5)
    source = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    matrix = quaternion_to_matrix(q)
    torch.testing.assert_close(best_rotation(source, source @ matrix.transpose(-1, -2)), matrix)
    reflected = source * torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    assert torch.linalg.det(best_rotation(source, reflected)) == pytest.approx(1)
