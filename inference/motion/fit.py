"""Damped least-squares fit of SMPL's pose and translation to landmarks, for many frames at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
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

# Rows over the landmarks that count: offset of the trunk from the feet, and of the shoulders from the hips.
_BALANCE = np.zeros((2, len(_USED)))
for _part, _row in (
    ("shoulder", (0.25, 0.5)),
    ("hip", (0.25, -0.5)),
    ("ankle", (-0.25, 0.0)),
    ("foot_index", (-0.25, 0.0)),
):
    for _side in ("left", "right"):
        _BALANCE[:, _USED.index(LANDMARK_NAMES.index(f"{_side}_{_part}"))] = _row
_HIP_SHARES = np.zeros(len(_USED))
_HIP_SHARES[_USED_HIPS] = 0.5
_LIMIT_SOFTNESS = np.radians(4.0)

ANCESTRY = np.eye(24, dtype=bool)
"""(24, 24) [a, j]: joint j is a or its descendant."""
for _joint, _parent in enumerate(PARENTS):
    if _parent >= 0:
        ANCESTRY[:, _joint] |= ANCESTRY[:, _parent]

# The unknowns of a frame are the translation, then three for each joint. SMPL's hand joints, the last ones, have no
# landmark of their own beyond the knuckles that turn the wrist.
_MOVES, _TURNS = slice(0, 3), slice(3, 75)
_ACTIVE = slice(0, 3 + 3 * JOINT_NAMES.index("left_hand"))


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
    precision = 1 / evidence.pixel_sigma[..., None].astype(float)
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
    weight = 1 / evidence.pixel_sigma.astype(float) ** 2
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


class _Skeleton:
    """How the landmarks that count depend on the joints: a landmark moves with joint a and its descendants by a share.

    Attributes:
        carried: (K, 24) share of landmark k that moves with joint a.
        first, second: (P,) joints a, b of the pairs that share landmarks.
        shares: (K, P) product of the landmark's shares of both joints.
        entries: (9 P,) where the pairs' blocks stand in a flattened normal matrix (75 × 75), entry by entry.
        mirrored: (9 P,) where their transposes stand.
    """

    def __init__(self, weights: np.ndarray):
        self.carried = (weights @ ANCESTRY.T.astype(float))[_USED]
        together = self.carried.T @ self.carried
        self.first, self.second = np.nonzero(np.triu(together))
        self.shares = (self.carried[:, self.first] * self.carried[:, self.second]).astype(np.float32)
        axes = np.arange(3, 6)
        rows = 3 * self.first + axes[:, None, None]
        columns = 3 * self.second + axes[:, None]
        self.entries, self.mirrored = (75 * rows + columns).ravel(), (75 * columns + rows).ravel()

    def combined(self, shares: np.ndarray, points: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Derivatives of weighted sums of landmarks with respect to joint rotations and translation.

        Args:
            shares: (c, K) weights of the landmarks, or (n, c, K).
            points: (n, K, 3) landmarks.
            joints: (n, 24, 3).

        Returns:
            (n, c, 3, 75).
        """
        n, sums = len(points), shares.shape[-2]
        by_joint = (shares[..., None, :] * self.carried.T).astype(points.dtype)
        arms = (by_joint.reshape(*shares.shape[:-2], -1, shares.shape[-1]) @ points).reshape(n, sums, 24, 3)
        arms -= by_joint.sum(-1)[..., None] * joints[:, None]
        whole = np.empty((n, sums, 3, 75), points.dtype)
        whole[..., _TURNS] = np.swapaxes(rotations.skew(-arms), 2, 3).reshape(n, sums, 3, 72)
        whole[..., _MOVES] = shares.sum(-1)[..., None, None] * np.eye(3)
        return whole


_SYMMETRIC = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
"""Where the entries of a symmetric matrix stand among its six of the upper triangle."""
_UPPER = ([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2])


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross product along the first axis, of size 3."""
    return np.stack(
        [
            first[1] * second[2] - first[2] * second[1],
            first[2] * second[0] - first[0] * second[2],
            first[0] * second[1] - first[1] * second[0],
        ]
    )


class _Problem:
    """Residuals of some frames and their normal equations.

    The unknowns are the translation and a small rotation of each joint, expressed in the camera's axes. In these axes
    a landmark x below joint a moves by ω × (x − p_a), so the normal matrix's block of joints a and b is made of three
    3 × 3 matrices, summed over the landmarks below both: of W, W[x] and [x]ᵀW[x], where W is a landmark's information
    and [x] its cross-product matrix. No Jacobian of all landmarks is ever written down.

    Args:
        shaped_body: the person's skeleton and landmarks.
        skeleton: of the same body.
        evidence: of n frames.
        sight: (n, 3, 3) their `view_rotations`.
        prior: of the same frames.
        robust: as for `fit`.
    """

    def __init__(
        self,
        shaped_body: ShapedBody,
        skeleton: _Skeleton,
        evidence: Evidence,
        sight: np.ndarray,
        prior: Prior | None,
        robust: float,
    ):
        self.shaped_body, self.skeleton = shaped_body, skeleton
        self.sight, self.prior, self.robust = sight, prior, robust
        self.sight_scale = np.array([1.0, 1.0, 1 / evidence.depth_factor])
        self.across = (sight * self.sight_scale**2) @ np.swapaxes(sight, 1, 2)
        self.focal, self.centre = evidence.camera_K[[0, 1], [0, 1]], evidence.camera_K[:2, 2]
        self.pixels, self.world, pixel_sigma, world_sigma = (
            part[:, _USED].astype(float)
            for part in (evidence.pixels, evidence.world, evidence.pixel_sigma, evidence.world_sigma)
        )
        self.pixel_scale, self.world_scale = 1 / pixel_sigma, 1 / world_sigma
        if prior is not None:
            target_scale = 1 / prior.target_sigma[:, _USED]
            self.targeted = np.flatnonzero(target_scale.any(0))
            self.targets = prior.targets[:, _USED][:, self.targeted]
            self.target_scale = target_scale[:, self.targeted, None]
            self.unsmoothed = np.swapaxes(prior.rotations, -1, -2)

    def rows(self, chosen: np.ndarray) -> _Problem:
        """The problem of the chosen frames, an (n,) mask."""
        part = copy.copy(self)
        part.sight, part.across = self.sight[chosen], self.across[chosen]
        part.pixels, part.world = self.pixels[chosen], self.world[chosen]
        part.pixel_scale, part.world_scale = self.pixel_scale[chosen], self.world_scale[chosen]
        if self.prior is not None:
            part.prior, part.unsmoothed = self.prior.rows(chosen), self.unsmoothed[chosen]
            part.targets, part.target_scale = self.targets[chosen], self.target_scale[chosen]
        return part

    def state(self, local: np.ndarray, trans: np.ndarray) -> dict[str, np.ndarray]:
        """A pose, what follows from it, and its whitened residuals, each (n, m, c) with c components per item.

        `points` are the landmarks that count; `cost` (n,) is the robust sum of squares.
        """
        global_rotations, joints, points = self.shaped_body.pose(local, trans)
        points = np.ascontiguousarray(points[:, _USED])
        depth = np.maximum(points[..., 2:], _NEAREST)
        projected = points[..., :2] / depth * self.focal + self.centre
        centred = points - points[:, _USED_HIPS].mean(1, keepdims=True)
        blocks = {
            "pixels": (projected - self.pixels) * self.pixel_scale[..., None],
            "world": (centred @ self.sight - self.world) * self.world_scale[..., None] * self.sight_scale,
        }
        if self.prior is None:
            angles = rotations.matrix_to_axis_angle(local)
        else:
            angles, away = rotations.matrix_to_axis_angle(np.stack([local, self.unsmoothed @ local]))
            blocks["smooth"] = away / self.prior.rotation_sigma[..., None]
            blocks["drift"] = ((trans - self.prior.trans) / self.prior.trans_sigma)[:, None]
            blocks["targets"] = (points[:, self.targeted] - self.targets) * self.target_scale
            over = (_BALANCE @ points) @ np.swapaxes(self.prior.floor_axes, 1, 2)
            blocks["balance"] = over / self.prior.balance_sigma[:, None, None]
        beyond = np.clip(angles - LIMITS[..., 1], 0, None) + np.clip(angles - LIMITS[..., 0], None, 0)
        blocks["limits"] = beyond / _LIMIT_SOFTNESS
        blocks["spread"] = angles / SPREAD
        cost = np.zeros(len(points))
        for name, block in blocks.items():
            squares = np.einsum("nkc,nkc->nk", block, block)
            if name in ("pixels", "world"):
                squares = squares / (1 + squares / self.robust**2)
            cost += squares.sum(-1)
        return {
            "local": local,
            "trans": trans,
            "global_rotations": global_rotations,
            "joints": joints,
            "points": points,
            "angles": angles,
            "cost": cost,
            **blocks,
        }

    def normal_equations(self, at: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal matrix (n, 75, 75), its right side (n, 75), and the evidence's share of the diagonal (n, 75).

        The matrix is of single precision: it only decides the way to the solution. With the body as the origin lever
        arms are short, so that their differences lose nothing.
        """
        origin = at["joints"][:, :1]
        points, joints = at["points"] - origin, at["joints"] - origin
        information, force, world_weight, world_force = self._evidence_terms(at)
        right = self._torques(force, points, joints)
        points, joints = points.astype(np.float32), joints.astype(np.float32)
        normal = self._pair_blocks(information, points, joints)

        # The world landmarks' origin is between the hips: it moves, too.
        shares = np.stack([_HIP_SHARES, *_BALANCE]) if self.prior is not None else _HIP_SHARES[None]
        combined = self.skeleton.combined(shares, points, joints)
        hips = combined[:, 0]
        together = self.skeleton.combined(world_weight[:, None], points, joints)[:, 0]
        together -= 0.5 * world_weight.sum(1)[:, None, None] * hips
        half = self.across.astype(np.float32) @ together
        left, right_of = [hips, half], [-half, -hips]
        evidence = np.einsum("nii->ni", normal) - 2 * np.einsum("nij,nij->nj", hips, half)

        right += (world_force.sum(1)[:, None] @ hips)[:, 0]
        if self.prior is not None:
            for jacobian, residual in self._prior_rows(at, combined[:, 1:], points, joints):
                left.append(jacobian)
                right_of.append(jacobian)
                right -= (residual.reshape(len(residual), 1, -1) @ jacobian)[:, 0]
        normal += np.swapaxes(np.concatenate(left, axis=1), 1, 2) @ np.concatenate(right_of, axis=1)
        self._add_rotations(normal, right, at)
        return normal, right, evidence

    def _evidence_terms(self, at: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the landmarks in the image and in the world ask for.

        Returns:
            Information (6, n, K), see `_SYMMETRIC`, and the residuals' pull (n, K, 3), of both; weight (n, K) and pull
            (n, K, 3) of the world landmarks.
        """
        pixel_trust, world_trust = self._trust(at["pixels"]), self._trust(at["world"])
        depth = np.maximum(at["points"][..., 2:], _NEAREST)
        slope = at["points"][..., :2] / depth
        scale = self.focal / depth * (self.pixel_scale * pixel_trust)[..., None]
        pull = scale * at["pixels"] * pixel_trust[..., None]
        force = np.concatenate([pull, -(pull * slope).sum(-1, keepdims=True)], axis=-1)

        world_weight = (self.world_scale * world_trust) ** 2
        world_pull = at["world"] * (self.world_scale * world_trust**2)[..., None] * self.sight_scale
        world_force = world_pull @ np.swapaxes(self.sight, 1, 2)

        square = scale**2
        information = np.zeros((6, *world_weight.shape))
        information[0], information[3] = square[..., 0], square[..., 1]
        information[2], information[4] = -square[..., 0] * slope[..., 0], -square[..., 1] * slope[..., 1]
        information[5] = (square * slope**2).sum(-1)
        information += self.across[:, _UPPER[0], _UPPER[1]].T[..., None] * world_weight
        return information.astype(np.float32), force + world_force, world_weight, world_force

    def _trust(self, block: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.einsum("nkc,nkc->nk", block, block) / self.robust**2)

    def _pair_blocks(self, information: np.ndarray, points: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Normal matrix (n, 75, 75) of information (6, n, K) at points (n, K, 3)."""
        n = len(points)
        skeleton = self.skeleton
        # Axes: row, column, frame, landmark or pair.
        weight = information[_SYMMETRIC]
        x = np.ascontiguousarray(points.transpose(2, 0, 1))[:, None]
        turned = np.swapaxes(_cross(weight, x), 0, 1)
        both = _cross(turned, x)
        terms = np.concatenate([information, turned.reshape(9, n, -1), both[_UPPER]])
        sums = (terms.reshape(-1, terms.shape[-1]) @ skeleton.shares).reshape(21, n, -1)
        weight, turned, both = sums[_SYMMETRIC], sums[6:15].reshape(3, 3, n, -1), sums[15:][_SYMMETRIC]
        p = np.ascontiguousarray(joints.transpose(2, 0, 1))[:, None]
        first, second = p[..., skeleton.first], p[..., skeleton.second]
        blocks = both + _cross(np.swapaxes(_cross(weight, second), 0, 1) - turned, first)
        blocks -= np.swapaxes(_cross(turned, second), 0, 1)
        normal = np.zeros((n, 75 * 75), points.dtype)
        flat = blocks.transpose(2, 0, 1, 3).reshape(n, -1)
        normal[:, skeleton.mirrored] = flat
        normal[:, skeleton.entries] = flat
        normal = normal.reshape(n, 75, 75)

        carried = skeleton.carried.astype(points.dtype)
        sums = (terms[:15].reshape(-1, terms.shape[-1]) @ carried).reshape(15, n, -1)
        shared = _cross(sums[_SYMMETRIC], p)
        shared = (np.swapaxes(shared, 0, 1) - sums[6:].reshape(3, 3, n, -1)).transpose(2, 0, 3, 1).reshape(n, 3, 72)
        normal[:, _MOVES, _TURNS], normal[:, _TURNS, _MOVES] = shared, np.swapaxes(shared, 1, 2)
        normal[:, _MOVES, _MOVES] = information.sum(-1)[_SYMMETRIC].transpose(2, 0, 1)
        return normal

    def _torques(self, force: np.ndarray, points: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Right side (n, 75) of forces (n, K, 3) at points (n, K, 3)."""
        carried = self.skeleton.carried.T
        right = np.empty((len(force), 75))
        turning = carried @ np.cross(points, force) - np.cross(joints, carried @ force)
        right[:, _TURNS] = -turning.reshape(len(force), 72)
        right[:, _MOVES] = -force.sum(1)
        return right

    def _prior_rows(
        self, at: dict[str, np.ndarray], trunk: np.ndarray, points: np.ndarray, joints: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Jacobians (n, r, 75) and residuals (n, ...) of balance and planted feet; ``trunk`` is `_BALANCE` combined."""
        assert self.prior is not None
        if np.isfinite(self.prior.balance_sigma).any():
            tilt = self.prior.floor_axes[:, None] @ trunk / self.prior.balance_sigma[:, None, None, None]
            yield tilt.reshape(len(tilt), -1, 75), at["balance"]
        if len(self.targeted):
            one_each = np.eye(len(_USED))[self.targeted]
            held = self.skeleton.combined(one_each, points, joints) * self.target_scale[..., None]
            yield held.reshape(len(held), -1, 75), at["targets"]

    def _add_rotations(self, normal: np.ndarray, right: np.ndarray, at: dict[str, np.ndarray]) -> None:
        """Add what is asked of each joint's own rotation, and of the translation."""
        global_rotations = at["global_rotations"]
        own = _log_jacobian(at["angles"]) @ np.swapaxes(global_rotations, -1, -2)
        beyond = (at["limits"] != 0) / _LIMIT_SOFTNESS
        across = np.swapaxes(own, -1, -2)
        blocks = (across * (beyond**2 + 1 / SPREAD**2)[..., None, :]) @ own
        pull = across @ (at["limits"] * beyond + at["spread"] / SPREAD)[..., None]
        if self.prior is not None:
            sigma = self.prior.rotation_sigma[..., None, None]
            blocks += np.eye(3) / sigma**2
            pull += global_rotations @ (at["smooth"][..., None] / sigma)
            axes = np.arange(3)
            normal[:, axes, axes] += 1 / self.prior.trans_sigma**2
            right[:, _MOVES] -= at["drift"][:, 0] / self.prior.trans_sigma
        columns = np.arange(3, 75).reshape(24, 3)
        normal[:, columns[:, :, None], columns[:, None, :]] += blocks
        right[:, _TURNS] -= pull.reshape(len(pull), 72)


def fit(
    shaped_body: ShapedBody,
    evidence: Evidence,
    local: np.ndarray,
    trans: np.ndarray,
    prior: Prior | None = None,
    steps: int = 10,
    robust: float = 3.0,
    chunk: int = 48,
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

    skeleton, sight = _Skeleton(shaped_body.weights), view_rotations(evidence)

    def solve(start: int) -> Fit:
        window = slice(start, start + chunk)
        part = prior.rows(window) if prior else None
        problem = _Problem(shaped_body, skeleton, evidence.rows(window), sight[window], part, robust)
        return _descend(problem, local[window].astype(float), trans[window], steps)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as workers:
        parts = list(workers.map(solve, range(0, len(local), chunk)))
    return Fit(*(np.concatenate([getattr(part, name) for part in parts]) for name in Fit.__dataclass_fields__))


def _descend(problem: _Problem, local: np.ndarray, trans: np.ndarray, steps: int) -> Fit:
    n = len(local)
    at = problem.state(local, trans)
    damping = np.full(n, 1e-2)
    result = Fit(local, trans.copy(), np.zeros((n, 24)))
    # Converged frames are left out of further steps.
    rows = np.arange(n)
    for _ in range(steps):
        change, evidence = _step(problem, at, damping)
        rotation_step = change[:, _TURNS].reshape(-1, 24, 3)
        size = np.linalg.norm(rotation_step, axis=-1, keepdims=True)
        rotation_step *= np.minimum(1, 1.0 / np.maximum(size, 1e-9))
        # A rotation vector ω in the camera's axes is Gᵀω in the joint's own.
        own = (np.swapaxes(at["global_rotations"], -1, -2) @ rotation_step[..., None])[..., 0]
        new = problem.state(at["local"] @ rotations.axis_angle_to_matrix(own), at["trans"] + change[:, _MOVES])
        better = new["cost"] < at["cost"]
        converged = better & (new["cost"] > (1 - _CONVERGED) * at["cost"])
        damping = np.clip(np.where(better, damping / 3, damping * 5), 1e-6, 1e4)
        if not better.all():
            worse = ~better
            for name, value in new.items():
                value[worse] = at[name][worse]
        at = new
        result.rotations[rows], result.trans[rows] = at["local"], at["trans"]
        result.information[rows] = evidence[:, _TURNS].reshape(-1, 24, 3).mean(-1)
        if converged.any():
            going = ~converged
            rows, damping = rows[going], damping[going]
            if not len(rows):
                break
            at = {name: value[going] for name, value in at.items()}
            problem = problem.rows(going)
    return result


def _step(problem: _Problem, at: dict[str, np.ndarray], damping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The change (n, 75) that the normal equations ask for, and the evidence's share of their diagonal (n, 75)."""
    normal, right, evidence = problem.normal_equations(at)
    system = normal[:, _ACTIVE, _ACTIVE]
    diagonal = np.arange(system.shape[-1])
    system[:, diagonal, diagonal] *= (1 + damping[:, None]).astype(system.dtype)
    system[:, diagonal, diagonal] += 1e-6
    change = np.zeros_like(right)
    change[:, _ACTIVE] = np.linalg.solve(system, right[:, _ACTIVE, None].astype(system.dtype))[..., 0]
    return change, evidence
