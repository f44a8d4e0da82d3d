"""Rotations in batches: quaternions, matrices, 6D, Euler angles; differentiable, any float type.

Quaternions are (w, x, y, z), unit, Hamilton product. Matrices act on column vectors, R[row, column]. Leading axes are
free everywhere.

Results are assembled component by component in planar memory (`join`): the last axis is logical, each component lies
contiguous, so that a chain of elementwise operations runs at vector speed instead of striding over threes and fours.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

SixdOrder = Literal["columns", "interleaved"]
"""How the first two matrix columns are laid out: one after the other (263), or row by row (135, 201)."""


def planar(x: Tensor) -> Tensor:
    """The same values, with every component of the last axis contiguous in memory."""
    return x.movedim(-1, 0).contiguous().movedim(0, -1)  # (..., C)


def take(x: Tensor, places: Sequence[int]) -> Tensor:
    """The listed entries of the first axis of (J, ..., C), in planar memory."""
    index = torch.tensor(places, device=x.device)
    return x.movedim(-1, 0).index_select(1, index).movedim(0, -1)  # (len(places), ..., C)


def join(components: Sequence[Tensor]) -> Tensor:
    """Components (...) side by side as (..., C), in planar memory."""
    return torch.stack(list(components)).movedim(0, -1)  # (..., C)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the last axis: (..., D), (..., D) -> (...)."""
    return _products(*((x, y, 1) for x, y in zip(a.unbind(-1), b.unbind(-1), strict=True)))


def _products(*terms: tuple[Tensor, Tensor, int]) -> Tensor:
    """The sum of sign * x * y over the terms (x, y, sign), the first of them positive; one pass a term."""
    (x, y, _), *others = terms
    total = x * y
    for x, y, sign in others:
        total = torch.addcmul(total, x, y, value=sign)
    return total


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product (..., 3) over the last axis, never over a time axis that happens to have size three."""
    ax, ay, az = a.unbind(-1)
    bx, by, bz = b.unbind(-1)
    return join(
        (
            _products((ay, bz, 1), (az, by, -1)),
            _products((az, bx, 1), (ax, bz, -1)),
            _products((ax, by, 1), (ay, bx, -1)),
        )
    )


def length(x: Tensor) -> Tensor:
    """|x|, (...) of (..., n), over the last axis; about 1e-19 (float32) for a zero vector, with a finite gradient."""
    return dot(x, x).clamp_min(torch.finfo(x.dtype).tiny).sqrt()


def normalise(x: Tensor) -> Tensor:
    """x / |x| over the last axis; a zero vector stays zero, with a finite gradient."""
    tiny = torch.finfo(x.dtype).tiny
    return x * dot(x, x).clamp_min(tiny).rsqrt().unsqueeze(-1)  # (..., C)


def quaternion_multiply(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product pq: first q, then p. (..., 4) each."""
    return join(_product(p.unbind(-1), q.unbind(-1)))  # (..., 4)


def _product(p: Sequence[Tensor], q: Sequence[Tensor], inverse: bool = False) -> tuple[Tensor, ...]:
    """Components of pq, or of p^-1 q: four of (...) each."""
    (pw, px, py, pz), (qw, qx, qy, qz) = p, q
    s = -1 if inverse else 1
    return (
        _products((pw, qw, 1), (px, qx, -s), (py, qy, -s), (pz, qz, -s)),
        _products((pw, qx, 1), (px, qw, s), (py, qz, s), (pz, qy, -s)),
        _products((pw, qy, 1), (px, qz, -s), (py, qw, s), (pz, qx, s)),
        _products((pw, qz, 1), (px, qy, s), (py, qx, -s), (pz, qw, s)),
    )


def quaternion_conjugate(q: Tensor) -> Tensor:
    """The inverse of a unit quaternion."""
    w, x, y, z = q.unbind(-1)
    return join((w, -x, -y, -z))  # (..., 4)


def quaternion_rotate(q: Tensor, v: Tensor) -> Tensor:
    """q v q*: turn vectors (..., 3) by unit quaternions (..., 4)."""
    axis = q[..., 1:]  # (..., 3)
    t = cross(axis, v)  # (..., 3)
    return v + 2 * (q[..., :1] * t + cross(axis, t))  # (..., 3)


def shortest_arc(u: Tensor, v: Tensor) -> Tensor:
    """The smallest rotation that turns unit vector u into unit vector v: (..., 4).

    Through the half-way vector h = u + v, so that nearly opposite vectors keep their precision. Exactly opposite ones
    turn by pi about some axis orthogonal to u; where v is zero the result is the identity.
    """
    h = u + v  # (..., 3)
    h2 = dot(h, h)
    opposite = h2 < 64 * torch.finfo(u.dtype).eps ** 2
    axis = torch.where(opposite.unsqueeze(-1), _orthogonal(u), cross(u, h))  # (..., 3)
    return normalise(join((h2 / 2, *axis.unbind(-1))))  # (..., 4)


def _orthogonal(u: Tensor) -> Tensor:
    """Some unit vector orthogonal to unit u: u x Y, or X where u is nearly vertical."""
    x, y, z = u.unbind(-1)
    upright = y.abs() > 0.9
    across = join(
        (torch.where(upright, torch.ones_like(x), -z), torch.zeros_like(y), torch.where(upright, 0.0 * x, x))
    )
    return normalise(across - dot(across, u).unsqueeze(-1) * u)  # (..., 3)


def yaw_rotate(angle: Tensor, v: Tensor) -> Tensor:
    """Turn vectors (..., 3) by `angle` (...) radians about Y, right-handed (Z towards X)."""
    cosine, sine = angle.cos(), angle.sin()
    x, y, z = v.unbind(-1)
    return join((_products((cosine, x, 1), (sine, z, 1)), y, _products((cosine, z, 1), (sine, x, -1))))


def yaw_quaternion(angle: Tensor) -> Tensor:
    """The quaternion of a turn by `angle` radians about Y: (...) -> (..., 4)."""
    zero = torch.zeros_like(angle)
    return join(((angle / 2).cos(), zero, (angle / 2).sin(), zero))  # (..., 4)


def quaternion_to_matrix(q: Tensor) -> Tensor:
    """Unit quaternions (..., 4) to matrices (..., 3, 3)."""
    first, second = (join(column) for column in _columns(q.unbind(-1)))  # (..., 3) each
    return torch.stack((first, second, cross(first, second)), dim=-1)  # (..., 3, 3)


def _columns(q: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Components of the first two columns of the matrix of a unit quaternion."""
    w, x, y, z = (component * 2**0.5 for component in q)
    zz = z * z
    first = (1 - torch.addcmul(zz, y, y), _products((x, y, 1), (w, z, 1)), _products((x, z, 1), (w, y, -1)))
    second = (_products((x, y, 1), (w, z, -1)), 1 - torch.addcmul(zz, x, x), _products((y, z, 1), (w, x, 1)))
    return first, second


def quaternion_to_sixd(q: Tensor, order: SixdOrder) -> Tensor:
    """Unit quaternions (..., 4) to 6D (..., 6), without building matrices."""
    return _pack(*_columns(q.unbind(-1)), order)


def relative_sixd(p: Tensor, q: Tensor, order: SixdOrder) -> Tensor:
    """6D (..., 6) of p^-1 q, the rotation q seen from the frame of p; unit quaternions (..., 4)."""
    return _pack(*_columns(_product(p.unbind(-1), q.unbind(-1), inverse=True)), order)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) to unit quaternions with w >= 0 (Shepperd 1978: divide by the largest component)."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = matrix.flatten(-2).unbind(-1)
    # Four times the outer product of (w, x, y, z) with itself; any row is the quaternion up to scale.
    outer = (
        (1 + xx + yy + zz, zy - yz, xz - zx, yx - xy),
        (zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx),
        (xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy),
        (yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz),
    )
    rows = torch.stack([torch.stack(row, dim=-1) for row in outer], dim=-2)  # (..., 4, 4)
    largest = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = rows.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)  # (..., 4)
    q = normalise(row)  # (..., 4)
    return torch.where(q[..., :1] < 0, -q, q)


def rotation_vector_to_quaternion(vectors: Tensor) -> Tensor:
    """Rotation vectors (..., 3), axis times angle in radians, as quaternions (..., 4); exact and smooth at zero."""
    angle = vectors.norm(dim=-1, keepdim=True)  # (..., 1)
    # sin(a / 2) / a, which torch's sinc has without a division at zero.
    scale = 0.5 * torch.sinc(angle / (2 * torch.pi))  # (..., 1)
    return torch.cat(((angle / 2).cos(), scale * vectors), dim=-1)  # (..., 4)


def quaternion_to_rotation_vector(quaternions: Tensor) -> Tensor:
    """Quaternions (..., 4) as rotation vectors (..., 3) of at most half a turn, radians."""
    q = torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)
    sine = q[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, q[..., :1])
    # angle / sin(angle / 2) tends to 2 at zero.
    return q[..., 1:] * torch.where(sine > 1e-9, angle / sine.clamp(min=1e-9), 2.0)


def matrix_to_sixd(matrix: Tensor, order: SixdOrder) -> Tensor:
    """The first two columns of rotation matrices (..., 3, 3) as (..., 6)."""
    return _pack(matrix[..., 0].unbind(-1), matrix[..., 1].unbind(-1), order)


def sixd_to_matrix(sixd: Tensor, order: SixdOrder) -> Tensor:
    """6D (..., 6) to rotation matrices (..., 3, 3) by Gram-Schmidt (Zhou et al. 2019)."""
    first, second = _unpack(sixd, order)  # (..., 3) each
    b1 = normalise(first)  # (..., 3)
    b2 = normalise(second - dot(b1, second).unsqueeze(-1) * b1)  # (..., 3)
    return torch.stack((b1, b2, cross(b1, b2)), dim=-1)  # (..., 3, 3)


def sixd_to_quaternion(sixd: Tensor, order: SixdOrder) -> Tensor:
    return matrix_to_quaternion(sixd_to_matrix(sixd, order))  # (..., 4)


def _pack(first: Sequence[Tensor], second: Sequence[Tensor], order: SixdOrder) -> Tensor:
    if order == "columns":
        return join((*first, *second))  # (..., 6)
    return join([component for pair in zip(first, second, strict=True) for component in pair])


def _unpack(sixd: Tensor, order: SixdOrder) -> tuple[Tensor, Tensor]:
    if order == "columns":
        return sixd[..., :3], sixd[..., 3:]  # (..., 3) each
    return sixd[..., 0::2], sixd[..., 1::2]  # (..., 3) each


def euler_to_quaternion(angles: Tensor, axes: str) -> Tensor:
    """Intrinsic rotations in the listed order: axes "ZXY" means R = Rz Rx Ry.

    Args:
        angles: (..., N) radians, in the order of `axes`.
        axes: N letters out of X, Y, Z.
    """
    result: Tensor | None = None
    for angle, axis in zip(angles.unbind(-1), axes, strict=True):
        parts = [(angle / 2).cos(), *(torch.zeros_like(angle),) * 3]
        parts[1 + "XYZ".index(axis)] = (angle / 2).sin()
        turn = join(parts)  # (..., 4)
        result = turn if result is None else quaternion_multiply(result, turn)
    if result is None:
        raise ValueError("euler_to_quaternion needs at least one axis")
    return result


def matrix_to_euler(matrix: Tensor, axes: str) -> Tensor:
    """Angles (..., 3), radians, of R = R_a R_b R_c for three different axes ("ZXY", ...).

    At gimbal lock, where only a sum or difference of the outer angles matters, the third angle is zero.
    """
    i, j, k = ("XYZ".index(axis) for axis in axes)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    sine = (sign * matrix[..., i, k]).clamp(-1, 1)
    cosine = torch.hypot(matrix[..., i, i], matrix[..., i, j])
    middle = torch.atan2(sine, cosine)
    locked = cosine < 16 * torch.finfo(matrix.dtype).eps
    first = torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k])
    third = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i])
    first = torch.where(locked, torch.atan2(sign * matrix[..., k, j], matrix[..., j, j]), first)
    return torch.stack((first, middle, torch.where(locked, torch.zeros_like(third), third)), dim=-1)


def slerp(p: Tensor, q: Tensor, fraction: Tensor) -> Tensor:
    """Spherical interpolation along the shorter arc; `fraction` broadcasts over (...), 0 gives p and 1 gives q."""
    cosine = dot(p, q)
    q = torch.where((cosine < 0).unsqueeze(-1), -q, q)  # (..., 4)
    cosine = cosine.abs().clamp(max=1)
    angle = torch.acos(cosine)
    # Below about a thousandth of a radian the sines lose digits and straight interpolation is exact to rounding.
    near = cosine > 1 - 1e-6
    sine = torch.where(near, torch.ones_like(angle), angle.sin())
    a = torch.where(near, 1 - fraction, ((1 - fraction) * angle).sin() / sine)
    b = torch.where(near, fraction.expand_as(angle), (fraction * angle).sin() / sine)
    return normalise(a.unsqueeze(-1) * p + b.unsqueeze(-1) * q)  # (..., 4)


def best_rotation(source: Tensor, target: Tensor) -> Tensor:
    """The rotation that turns the N source vectors onto the targets with least squares (Kabsch 1976).

    Args:
        source: (..., N, 3) or (N, 3).
        target: (..., N, 3).

    Returns:
        (..., 3, 3) with determinant 1.
    """
    covariance = target.transpose(-1, -2) @ source  # (..., 3, 3)
    u, _, vh = torch.linalg.svd(covariance)  # (..., 3, 3), (..., 3), (..., 3, 3)
    flip = torch.ones_like(covariance[..., 0])  # (..., 3)
    flip[..., 2] = torch.sign(torch.linalg.det(u @ vh))
    return (u * flip.unsqueeze(-2)) @ vh  # (..., 3, 3)
