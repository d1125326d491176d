"""Damped least-squares fit of SMPL's pose and translation to landmarks, for many frames at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..body import rotations
from ..body.skeleton import JOINT_NAMES, LANDMARK_NAMES, PARENTS
from ..body.smpl import Body
from .limits import LIMITS, SPREAD

_HIPS = [LANDMARK_NAMES.index("left_hip"), LANDMARK_NAMES.index("right_hip")]
# Corners of eyes and mouth add nothing to nose, eyes and ears.
_USED = [
    number
    for number, name in enumerate(LANDMARK_NAMES)
    if not name.endswith(("_inner", "_outer")) and not name.startswith("mouth")
]
_USED_HIPS = [_USED.index(hip) for hip in _HIPS]
_NEAREST = 0.2
# A step that lowers the cost by less than this share is a frame's last.
_CONVERGED = 1e-3

# Rows over the landmarks: offset of the trunk from the feet, and of the shoulders from the hips.
_BALANCE = np.zeros((2, len(LANDMARK_NAMES)))
for _part, _row in (
    ("shoulder", (0.25, 0.5)),
    ("hip", (0.25, -0.5)),
    ("ankle", (-0.25, 0.0)),
    ("foot_index", (-0.25, 0.0)),
):
    for _side in ("left", "right"):
        _BALANCE[:, LANDMARK_NAMES.index(f"{_side}_{_part}")] = _row
_LIMIT_SOFTNESS = np.radians(4.0)

ANCESTRY = np.eye(24, dtype=bool)
"""(24, 24) [a, j]: joint j is a or its descendant."""
for _joint, _parent in enumerate(PARENTS):
    if _parent >= 0:
        ANCESTRY[:, _joint] |= ANCESTRY[:, _parent]

# SMPL's hand joints have no landmark of their own beyond the knuckles that turn the wrist.
_ACTIVE = np.array(
    [3 * joint + axis for joint, name in enumerate(JOINT_NAMES) if not name.endswith("_hand") for axis in range(3)]
    + [72, 73, 74]
)


@dataclass
class ShapedBody:
    """A body of one shape.

    Attributes:
        body: the body model.
        betas: (10,) its shape.
    """

    body: Body
    betas: np.ndarray

    def __post_init__(self) -> None:
        points = self.body.landmarks
        self.joints = self.body.rest_joints(self.betas)
        self.landmarks = points.rest(self.betas)
        self.weights = points.weights

    def pose(self, local: np.ndarray, trans: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Global rotations (n, 24, 3, 3), joints (n, 24, 3) and landmarks (n, 33, 3)."""
        global_rotations, joints = self.body.kinematics(local, self.betas, trans)
        return global_rotations, joints, self.body.skin(self.body.landmarks, global_rotations, joints, self.betas)


@dataclass
class Evidence:
    """The landmarks of one person in n frames.

    Attributes:
        pixels: (n, 33, 2) landmarks in the image.
        pixel_sigma: (n, 33) their standard deviation in pixels, infinite where unknown.
        world: (n, 33, 3) world landmarks in camera axes, origin between the hips, metres.
        world_sigma: (n, 33) their standard deviation across the line of sight, metres, infinite where unknown.
        camera_K: (3, 3) intrinsics.
        depth_factor: how much less certain the world landmarks are along the line of sight.
    """

    pixels: np.ndarray
    pixel_sigma: np.ndarray
    world: np.ndarray
    world_sigma: np.ndarray
    camera_K: np.ndarray
    depth_factor: float = 3.0

    def rows(self, window: slice | np.ndarray) -> Evidence:
        """The frames of `window`, a slice or a mask."""
        return Evidence(
            self.pixels[window],
            self.pixel_sigma[window],
            self.world[window],
            self.world_sigma[window],
            self.camera_K,
            self.depth_factor,
        )


@dataclass
class Prior:
    """What a fit stays near, apart from the evidence: smooth motion and planted feet.

    Attributes:
        rotations: (n, 24, 3, 3) local rotations to stay near.
        rotation_sigma: (n, 24) radians, infinite for none.
        trans: (n, 3) translation to stay near.
        trans_sigma: (n, 3) metres along each camera axis, infinite for none.
        targets: (n, 33, 3) positions in camera space to hold landmarks at.
        target_sigma: (n, 33) metres, infinite for none.
        floor_axes: (n, 2, 3) two directions in camera space that lie in the floor, along which the body
            keeps its balance.
        balance_sigma: (n,) metres that the trunk may be off the feet, infinite for a body that lies or is in the air.
    """

    rotations: np.ndarray
    rotation_sigma: np.ndarray
    trans: np.ndarray
    trans_sigma: np.ndarray
    targets: np.ndarray
    target_sigma: np.ndarray
    floor_axes: np.ndarray
    balance_sigma: np.ndarray

    def rows(self, window: slice | np.ndarray) -> Prior:
        """The frames of `window`, a slice or a mask."""
        return Prior(*(getattr(self, name)[window] for name in self.__dataclass_fields__))


@dataclass
class Fit:
    """The result of `fit`.

    Attributes:
        rotations: (n, 24, 3, 3) local rotations, the root's in camera space.
        trans: (n, 3) SMPL translation in camera space, metres.
        information: (n, 24) the evidence's information on each joint's rotation, 1 / radian².
    """

    rotations: np.ndarray
    trans: np.ndarray
    information: np.ndarray = field(default_factory=lambda: np.empty(0))


def view_rotations(evidence: Evidence) -> np.ndarray:
    """(n, 3, 3) rotations from axes along the line of sight to the person into the camera's axes.

    BlazePose sees a crop as if the camera looked straight at it, so its world landmarks rotate with the line of sight.
    """
    precision = 1 / evidence.pixel_sigma[..., None]
    weight = precision.sum(1)
    centre = (evidence.pixels * precision).sum(1) / np.maximum(weight, 1e-12)
    centre = np.where(weight > 0, centre, evidence.camera_K[:2, 2])
    sight = (centre - evidence.camera_K[:2, 2]) / evidence.camera_K[[0, 1], [0, 1]]
    sight = np.concatenate([sight, np.ones((len(sight), 1))], axis=1)
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    return rotations.between(np.broadcast_to([0.0, 0.0, 1.0], sight.shape), sight)


def solve_translation(evidence: Evidence, points: np.ndarray) -> np.ndarray:
    """(n, 3) translation that projects `points` (n, 33, 3) nearest to the pixels, linear least squares."""
    focal = evidence.camera_K[[0, 1], [0, 1]]
    seen = (evidence.pixels - evidence.camera_K[:2, 2]) / focal
    weight = 1 / evidence.pixel_sigma**2
    rows = np.zeros((*seen.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1
    rows[..., 2] = -seen
    right = seen * points[..., 2:] - points[..., :2]
    normal = np.einsum("nk,nkia,nkib->nab", weight, rows, rows, optimize=True)
    vector = np.einsum("nk,nkia,nki->na", weight, rows, right, optimize=True)
    normal += 1e-9 * np.eye(3) * (1 + np.trace(normal, axis1=1, axis2=2)[:, None, None])
    trans = np.linalg.solve(normal, vector[..., None])[..., 0]
    trans[:, 2] = np.clip(trans[:, 2], 0.5, 200.0)
    return trans


def _log_jacobian(vectors: np.ndarray) -> np.ndarray:
    """Derivative of log(R exp(δ)) with respect to δ at log R = `vectors`: the inverse right Jacobian of SO(3)."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    safe = np.clip(angle, 1e-4, np.pi - 1e-4)
    cross = rotations.skew(vectors)
    factor = 1 / safe**2 - (1 + np.cos(safe)) / (2 * safe * np.sin(safe))
    return np.eye(3) + cross / 2 + factor * cross @ cross


class _Problem:
    """Residuals of some frames and their normal equations.

    The unknowns are a small rotation of each joint, expressed in the camera's axes, and the translation: 75 a frame. In
    these axes a landmark x below joint a moves by ω × (x − p_a).
    """

    def __init__(self, shaped_body: ShapedBody, evidence: Evidence, prior: Prior | None, robust: float):
        self.shaped_body, self.evidence, self.prior, self.robust = shaped_body, evidence, prior, robust
        self.sight = view_rotations(evidence)
        self.focal = evidence.camera_K[[0, 1], [0, 1]]
        self.world_scale = 1 / (evidence.world_sigma[..., None] * np.array([1.0, 1.0, evidence.depth_factor]))
        carried = shaped_body.weights @ ANCESTRY.T.astype(float)
        self.pair_landmark, self.pair_joint = np.nonzero(carried > 0)
        self.pair_weight = carried[self.pair_landmark, self.pair_joint][:, None]

    def rows(self, chosen: np.ndarray) -> _Problem:
        """The problem of the chosen frames, an (n,) mask."""
        prior = self.prior.rows(chosen) if self.prior is not None else None
        return _Problem(self.shaped_body, self.evidence.rows(chosen), prior, self.robust)

    def residuals(self, local: np.ndarray, trans: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
        """Whitened residual blocks, each (n, m, c) with c components per item."""
        depth = np.maximum(points[..., 2:], _NEAREST)
        projected = points[..., :2] / depth * self.focal + self.evidence.camera_K[:2, 2]
        centred = points - points[:, _HIPS].mean(1, keepdims=True)
        angles = rotations.matrix_to_axis_angle(local)
        beyond = np.clip(angles - LIMITS[..., 1], 0, None) + np.clip(angles - LIMITS[..., 0], None, 0)
        blocks = {
            "pixels": (projected - self.evidence.pixels) / self.evidence.pixel_sigma[..., None],
            "world": (centred @ self.sight - self.evidence.world) * self.world_scale,
            "limits": beyond / _LIMIT_SOFTNESS,
            "spread": angles / SPREAD,
        }
        if self.prior is not None:
            away = rotations.matrix_to_axis_angle(np.swapaxes(self.prior.rotations, -1, -2) @ local)
            blocks["smooth"] = away / self.prior.rotation_sigma[..., None]
            blocks["drift"] = ((trans - self.prior.trans) / self.prior.trans_sigma)[:, None]
            blocks["targets"] = (points - self.prior.targets) / self.prior.target_sigma[..., None]
            over = (_BALANCE @ points) @ np.swapaxes(self.prior.floor_axes, 1, 2)
            blocks["balance"] = over / self.prior.balance_sigma[:, None, None]
        return blocks

    def cost(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """(n,) robust sum of squares."""
        total = np.zeros(len(self.evidence.pixels))
        for name, block in blocks.items():
            squares = (block**2).sum(-1)
            if name in ("pixels", "world"):
                squares = squares[:, _USED] / (1 + squares[:, _USED] / self.robust**2)
            total += squares.sum(-1)
        return total

    def normal_equations(
        self, local: np.ndarray, global_rotations: np.ndarray, joints: np.ndarray, points: np.ndarray, blocks: dict
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal matrix (n, 75, 75), its right side (n, 75), and the evidence's share of the diagonal (n, 75)."""
        n = len(local)
        jacobian = self._point_jacobian(joints, points)

        depth = np.maximum(points[:, _USED, 2:], _NEAREST)
        trust = self._trust(blocks["pixels"])
        pixel_jacobian = jacobian[:, :, :2] - (points[:, _USED, :2] / depth)[..., None] * jacobian[:, :, 2:]
        scale = self.focal / depth / self.evidence.pixel_sigma[:, _USED, None] * trust[:, _USED]
        pixel_jacobian *= scale[..., None]

        world_trust = self._trust(blocks["world"])
        hips = jacobian[:, _USED_HIPS].mean(1)
        world_jacobian = np.swapaxes(self.sight, 1, 2)[:, None] @ (jacobian - hips[:, None])
        world_jacobian *= (self.world_scale * world_trust)[:, _USED, :, None]

        rows = [pixel_jacobian.reshape(n, -1, 75), world_jacobian.reshape(n, -1, 75)]
        sides = [(blocks["pixels"] * trust)[:, _USED], (blocks["world"] * world_trust)[:, _USED]]
        normal, right = _normal(rows, sides)
        evidence = np.einsum("nii->ni", normal).copy()

        angles = rotations.matrix_to_axis_angle(local)
        angle_jacobian = _log_jacobian(angles) @ np.swapaxes(global_rotations, -1, -2)
        beyond = (blocks["limits"] != 0) / _LIMIT_SOFTNESS
        for block, part in (
            (blocks["limits"], angle_jacobian * beyond[..., None]),
            (blocks["spread"], angle_jacobian / SPREAD[..., None]),
        ):
            _add_rotation_block(normal, right, block, part)
        if self.prior is not None:
            _add_rotation_block(
                normal,
                right,
                blocks["smooth"],
                np.swapaxes(global_rotations, -1, -2) / self.prior.rotation_sigma[..., None, None],
            )
            diagonal = np.arange(72, 75)
            normal[:, diagonal, diagonal] += 1 / self.prior.trans_sigma**2
            right[:, 72:] -= blocks["drift"][:, 0] / self.prior.trans_sigma
            targeted = np.isfinite(self.prior.target_sigma[:, _USED]).any(0)
            if targeted.any():
                part = jacobian[:, targeted] / self.prior.target_sigma[:, _USED][:, targeted, None, None]
                more, side = _normal([part.reshape(n, -1, 75)], [blocks["targets"][:, _USED][:, targeted]])
                normal += more
                right += side
            tilt = np.einsum("bk,nkai->nbai", _BALANCE[:, _USED], jacobian, optimize=True)
            tilt = self.prior.floor_axes[:, None] @ tilt / self.prior.balance_sigma[:, None, None, None]
            more, side = _normal([tilt.reshape(n, -1, 75)], [blocks["balance"]])
            normal += more
            right += side
        return normal, right, evidence

    def _trust(self, block: np.ndarray) -> np.ndarray:
        return 1 / (1 + (block**2).sum(-1, keepdims=True) / self.robust**2)

    def _point_jacobian(self, joints: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(n, used landmarks, 3, 75) derivative of the landmarks with respect to joint rotations and translation."""
        n = len(joints)
        jacobian = np.zeros((n, 33, 3, 25, 3), np.float32)
        arms = (points[:, self.pair_landmark] - joints[:, self.pair_joint]) * self.pair_weight
        k, a = self.pair_landmark, self.pair_joint
        jacobian[:, k, 0, a, 1], jacobian[:, k, 0, a, 2] = arms[..., 2], -arms[..., 1]
        jacobian[:, k, 1, a, 0], jacobian[:, k, 1, a, 2] = -arms[..., 2], arms[..., 0]
        jacobian[:, k, 2, a, 0], jacobian[:, k, 2, a, 1] = arms[..., 1], -arms[..., 0]
        jacobian[:, :, (0, 1, 2), 24, (0, 1, 2)] = 1
        return jacobian.reshape(n, 33, 3, 75)[:, _USED]


def _normal(rows: list[np.ndarray], sides: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    jacobian = np.concatenate(rows, axis=1)
    residual = np.concatenate([side.reshape(len(side), -1) for side in sides], axis=1)
    transposed = np.swapaxes(jacobian, 1, 2)
    normal = (transposed @ jacobian).astype(np.float64)
    return normal, -(transposed @ residual[..., None].astype(jacobian.dtype))[..., 0].astype(np.float64)


def _add_rotation_block(normal: np.ndarray, right: np.ndarray, block: np.ndarray, jacobian: np.ndarray) -> None:
    """Add a block (n, 24, 3) of each joint's own rotation alone, with derivative `jacobian` (n, 24, 3, 3)."""
    across = np.swapaxes(jacobian, -1, -2)
    columns = np.arange(72).reshape(24, 3)
    normal[:, columns[:, :, None], columns[:, None, :]] += across @ jacobian
    right[:, :72] -= (across @ block[..., None])[..., 0].reshape(len(block), 72)


def fit(
    shaped_body: ShapedBody,
    evidence: Evidence,
    local: np.ndarray,
    trans: np.ndarray,
    prior: Prior | None = None,
    steps: int = 10,
    robust: float = 3.0,
    chunk: int = 64,
) -> Fit:
    """Levenberg–Marquardt from an initial pose, each frame with its own damping.

    Args:
        shaped_body: the person's skeleton and landmarks.
        evidence: of n frames.
        local: (n, 24, 3, 3) initial local rotations.
        trans: (n, 3) initial translation in camera space, metres.
        prior: smooth motion and planted feet to stay near.
        steps: maximum number of steps; a frame that barely improves takes no more.
        robust: standard deviations beyond which a landmark loses influence (Geman–McClure).
        chunk: frames that one thread works on at a time.
    """

    def solve(start: int) -> Fit:
        window = slice(start, start + chunk)
        problem = _Problem(shaped_body, evidence.rows(window), prior.rows(window) if prior else None, robust)
        return _descend(problem, local[window], trans[window], steps)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as workers:
        parts = list(workers.map(solve, range(0, len(local), chunk)))
    return Fit(*(np.concatenate([getattr(part, name) for part in parts]) for name in Fit.__dataclass_fields__))


def _descend(problem: _Problem, local: np.ndarray, trans: np.ndarray, steps: int) -> Fit:
    n = len(local)
    global_rotations, joints, points = problem.shaped_body.pose(local, trans)
    blocks = problem.residuals(local, trans, points)
    at = {
        "local": local,
        "trans": trans,
        "global_rotations": global_rotations,
        "joints": joints,
        "points": points,
        **blocks,
    }
    at["cost"] = problem.cost(blocks)
    damping = np.full(n, 1e-2)
    result = Fit(local.copy(), trans.copy(), np.zeros((n, 24)))
    # Converged frames are left out of further steps.
    rows = np.arange(n)
    for _ in range(steps):
        change, evidence = _step(problem, at, {name: at[name] for name in blocks}, damping)
        rotation_step = change[:, :72].reshape(-1, 24, 3)
        size = np.linalg.norm(rotation_step, axis=-1, keepdims=True)
        rotation_step *= np.minimum(1, 1.0 / np.maximum(size, 1e-9))
        # A rotation vector ω in the camera's axes is Gᵀω in the joint's own.
        own = (np.swapaxes(at["global_rotations"], -1, -2) @ rotation_step[..., None])[..., 0]
        new = {
            "local": at["local"] @ rotations.axis_angle_to_matrix(own),
            "trans": at["trans"] + change[:, 72:],
        }
        new["global_rotations"], new["joints"], new["points"] = problem.shaped_body.pose(new["local"], new["trans"])
        new |= problem.residuals(new["local"], new["trans"], new["points"])
        new["cost"] = problem.cost({name: new[name] for name in blocks})
        better = new["cost"] < at["cost"]
        converged = better & (new["cost"] > (1 - _CONVERGED) * at["cost"])
        damping = np.clip(np.where(better, damping / 3, damping * 5), 1e-6, 1e4)
        at = {
            name: np.where(better.reshape(-1, *[1] * (value.ndim - 1)), new[name], value) for name, value in at.items()
        }
        result.rotations[rows], result.trans[rows] = at["local"], at["trans"]
        result.information[rows] = evidence[:, :72].reshape(-1, 24, 3).mean(-1)
        if converged.any():
            going = ~converged
            rows, damping = rows[going], damping[going]
            if not len(rows):
                break
            at = {name: value[going] for name, value in at.items()}
            problem = problem.rows(going)
    return result


def _step(
    problem: _Problem, at: dict[str, np.ndarray], blocks: dict[str, np.ndarray], damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The change (n, 75) that the normal equations ask for, and the evidence's share of their diagonal (n, 75)."""
    normal, right, evidence = problem.normal_equations(
        at["local"], at["global_rotations"], at["joints"], at["points"], blocks
    )
    diagonal = np.arange(len(_ACTIVE))
    system = normal[:, _ACTIVE[:, None], _ACTIVE]
    system[:, diagonal, diagonal] *= 1 + damping[:, None]
    system[:, diagonal, diagonal] += 1e-6
    change = np.zeros_like(right)
    change[:, _ACTIVE] = np.linalg.solve(system, right[:, _ACTIVE, None])[..., 0]
    return change, evidence
