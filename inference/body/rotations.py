"""Rotations in NumPy: axis-angle, matrices, quaternions and 6D, any number of leading dimensions.

Shapes and conventions, everywhere in the project:

- axis-angle: (..., 3), radians along the unit axis;
- matrix: (..., 3, 3), acts on column vectors;
- quaternion: (..., 4), unit, scalar first (w, x, y, z), Hamilton product;
- sixd: (..., 6), the matrix's first column, then its second (Zhou et al., CVPR 2019).

Floating-point inputs keep their precision, anything else becomes float64.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]


def _floats(values: ArrayLike, *shape: int) -> Floats:
    array = np.asarray(values)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if array.shape[-len(shape) :] != shape:
        raise ValueError(f"expected shape (..., {', '.join(map(str, shape))}), got {array.shape}")
    return array


def _norm(vectors: Floats) -> Floats:
    """Lengths (..., 1). `np.linalg.norm` takes several times as long for axes as short as these."""
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]


def _unit(vectors: Floats) -> Floats:
    norm = _norm(vectors)
    return vectors / np.maximum(norm, np.finfo(vectors.dtype).tiny)


def skew(vectors: ArrayLike) -> Floats:
    """Cross-product matrices (..., 3, 3) of vectors (..., 3): ``skew(a) @ b == cross(a, b)``."""
    v = _floats(vectors, 3)
    out = np.zeros((*v.shape, 3), dtype=v.dtype)
    out[..., 0, 1], out[..., 0, 2] = -v[..., 2], v[..., 1]
    out[..., 1, 0], out[..., 1, 2] = v[..., 2], -v[..., 0]
    out[..., 2, 0], out[..., 2, 1] = -v[..., 1], v[..., 0]
    return out


def axis_angle_to_matrix(axis_angle: ArrayLike) -> Floats:
    """The exponential map: axis-angle (..., 3) to matrices (..., 3, 3)."""
    a = _floats(axis_angle, 3)
    angle = _norm(a)[..., None]
    k = skew(a)
    sine = np.sinc(angle / np.pi)
    versine = 0.5 * np.sinc(angle / (2.0 * np.pi)) ** 2
    return (np.eye(3, dtype=a.dtype) + sine * k + versine * (k @ k)).astype(a.dtype, copy=False)


def matrix_to_axis_angle(matrix: ArrayLike) -> Floats:
    """The logarithm: matrices (..., 3, 3) to axis-angle (..., 3) with an angle in [0, π]."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def axis_angle_to_quaternion(axis_angle: ArrayLike) -> Floats:
    """Axis-angle (..., 3) to unit quaternions (..., 4)."""
    a = _floats(axis_angle, 3)
    half = 0.5 * np.linalg.norm(a, axis=-1, keepdims=True)
    return np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * a], axis=-1).astype(a.dtype, copy=False)


def quaternion_to_axis_angle(quaternion: ArrayLike) -> Floats:
    """Quaternions (..., 4) of any sign to axis-angle (..., 3) with an angle in [0, π]."""
    q = _unit(_floats(quaternion, 4))
    q = np.where(q[..., :1] < 0.0, -q, q)
    sine = _norm(q[..., 1:])
    small = sine < 1e-12
    scale = np.where(small, 2.0, 2.0 * np.arctan2(sine, q[..., :1]) / np.where(small, 1.0, sine))
    return (scale * q[..., 1:]).astype(q.dtype, copy=False)


def quaternion_to_matrix(quaternion: ArrayLike) -> Floats:
    """Quaternions (..., 4), normalised here, to matrices (..., 3, 3)."""
    q = _unit(_floats(quaternion, 4))
    w, v = q[..., 0], q[..., 1:]
    k = skew(v)
    return np.eye(3, dtype=q.dtype) + 2.0 * (w[..., None, None] * k + k @ k)


def matrix_to_quaternion(matrix: ArrayLike) -> Floats:
    """Rotation matrices (..., 3, 3) to unit quaternions (..., 4) with w ≥ 0."""
    m = _floats(matrix, 3, 3)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    # The rows are 4·q_i·q; the one with the largest q_i² on its diagonal is the best conditioned.
    rows = np.stack(
        [
            np.stack([1.0 + xx + yy + zz, wx, wy, wz], axis=-1),
            np.stack([wx, 1.0 + xx - yy - zz, xy, xz], axis=-1),
            np.stack([wy, xy, 1.0 - xx + yy - zz, yz], axis=-1),
            np.stack([wz, xz, yz, 1.0 - xx - yy + zz], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = _unit(np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0.0, -q, q)


def matrix_to_sixd(matrix: ArrayLike) -> Floats:
    """Matrices (..., 3, 3) to their first two columns, one after the other (..., 6)."""
    m = _floats(matrix, 3, 3)
    return np.concatenate([m[..., 0], m[..., 1]], axis=-1)


def sixd_to_matrix(sixd: ArrayLike) -> Floats:
    """Any 6D vectors (..., 6) to rotation matrices (..., 3, 3) by Gram-Schmidt."""
    s = _floats(sixd, 6)
    x = _unit(s[..., :3])
    y = s[..., 3:]
    y = _unit(y - np.sum(x * y, axis=-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def quaternion_multiply(first: ArrayLike, second: ArrayLike) -> Floats:
    """Hamilton product (..., 4): the rotation ``second`` followed by ``first``."""
    a, b = _floats(first, 4), _floats(second, 4)
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    w = aw * bw - np.sum(av * bv, axis=-1, keepdims=True)
    return np.concatenate([w, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def quaternion_conjugate(quaternion: ArrayLike) -> Floats:
    """The inverse rotation of unit quaternions (..., 4)."""
    q = _floats(quaternion, 4)
    return q * np.array([1.0, -1.0, -1.0, -1.0], dtype=q.dtype)


def make_continuous(quaternions: ArrayLike, axis: int = 0) -> Floats:
    """Choose the signs of quaternions (..., 4) so that neighbours along ``axis`` (time) are on one side.

    The first keeps its sign. Interpolating the components then takes the shorter way.
    """
    q = np.moveaxis(_floats(quaternions, 4), axis, 0)
    turn = np.sum(q[1:] * q[:-1], axis=-1) < 0.0
    sign = np.where(np.cumsum(turn, axis=0) % 2 == 1, -1.0, 1.0).astype(q.dtype)
    return np.moveaxis(np.concatenate([q[:1], q[1:] * sign[..., None]]), 0, axis)


def slerp(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> Floats:
    """Spherical interpolation of unit quaternions (..., 4) the short way; ``fraction`` (...) broadcasts."""
    a, b = np.broadcast_arrays(_floats(start, 4), _floats(end, 4))
    t = np.asarray(fraction, dtype=a.dtype)[..., None]
    cosine = np.sum(a * b, axis=-1, keepdims=True)
    b = np.where(cosine < 0.0, -b, b)
    angle = 2.0 * np.arctan2(
        np.linalg.norm(b - a, axis=-1, keepdims=True), np.linalg.norm(b + a, axis=-1, keepdims=True)
    )
    # sin(tω)/sin(ω) written with sinc, which is smooth where ω vanishes.
    whole = np.sinc(angle / np.pi)
    return _unit(
        (1.0 - t) * np.sinc((1.0 - t) * angle / np.pi) / whole * a + t * np.sinc(t * angle / np.pi) / whole * b
    )


def slerp_matrices(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> Floats:
    """`slerp` of rotation matrices (..., 3, 3)."""
    return quaternion_to_matrix(slerp(matrix_to_quaternion(start), matrix_to_quaternion(end), fraction))


def relative_angle(first: ArrayLike, second: ArrayLike) -> Floats:
    """Geodesic distance (...) in [0, π] between rotation matrices (..., 3, 3)."""
    relative = np.swapaxes(_floats(first, 3, 3), -1, -2) @ _floats(second, 3, 3)
    return np.linalg.norm(matrix_to_axis_angle(relative), axis=-1)


def swing_twist(quaternion: ArrayLike, axis: ArrayLike) -> tuple[Floats, Floats]:
    """Split rotations (..., 4) into ``swing · twist``, the twist about ``axis`` (..., 3), applied first.

    The swing takes the axis to where the whole rotation takes it by the smallest angle. Where that is the opposite
    direction the twist is undefined and comes back as the identity. Both have w ≥ 0 for the twist's part.
    """
    q = _floats(quaternion, 4)
    direction = _unit(_floats(axis, 3)).astype(q.dtype, copy=False)
    along = np.sum(q[..., 1:] * direction, axis=-1, keepdims=True) * direction
    twist = np.concatenate([np.broadcast_to(q[..., :1], (*along.shape[:-1], 1)), along], axis=-1)
    undefined = np.linalg.norm(twist, axis=-1, keepdims=True) < 1e-9
    identity = np.array([1.0, 0.0, 0.0, 0.0], dtype=q.dtype)
    twist = np.where(undefined, identity, _unit(twist))
    twist = np.where(twist[..., :1] < 0.0, -twist, twist)
    return quaternion_multiply(q, quaternion_conjugate(twist)), twist


def between(start: ArrayLike, end: ArrayLike) -> Floats:
    """The smallest rotations, as matrices (..., 3, 3), taking directions ``start`` to ``end`` (..., 3 each).

    For opposite directions the half turn about a fixed perpendicular of ``start`` is returned.
    """
    a, b = np.broadcast_arrays(_unit(_floats(start, 3)), _unit(_floats(end, 3)))
    cosine = np.linalg.norm(a + b, axis=-1, keepdims=True) / 2.0
    sine_axis = np.cross(a, b)
    opposite = cosine < 1e-7
    smallest = np.eye(3, dtype=a.dtype)[np.argmin(np.abs(a), axis=-1)]
    fallback = _unit(np.cross(a, smallest))
    vector = np.where(opposite, fallback, sine_axis / np.where(opposite, 1.0, 2.0 * cosine))
    return quaternion_to_matrix(np.concatenate([np.where(opposite, 0.0, cosine), vector], axis=-1))


def project(matrices: ArrayLike) -> Floats:
    """The nearest rotations (..., 3, 3), in the Frobenius norm, of any matrices (..., 3, 3)."""
    m = _floats(matrices, 3, 3)
    u, _, vt = np.linalg.svd(m)
    flip = np.ones(m.shape[:-1], dtype=m.dtype)
    flip[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * flip[..., None, :]) @ vt
