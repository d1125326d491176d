"""Motion from one rig to another in closed form, all frames at once. NumPy only.

In the world a bone of the target rotates as its counterpart does from the source's rest pose, starting from the
target's rest pose aligned limb by limb with the source's:

    A(t) = G · S(t) · S_rest⁻¹ · G⁻¹ · X · T_rest

G takes the source's front to the target's front; X is the alignment of the rest poses (alignment.py).

Rotations of all frames are multiplied as rows of nine numbers: NumPy is slow on stacks of 3x3 matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...inference.body import rotations
from .bones import SIDES, Rig
from .plan import TransferPlan
from .rest_body import floor_height

# Of four times w²: from here on quaternions are exact enough without searching for their largest component.
_FAR = 0.2

# Frames whose rotations are multiplied at a time, so that they stay in the processor's cache.
_BLOCK = 256


@dataclass(frozen=True)
class PathTransform:
    """Takes a point p of the source's world to the target's: ``target + scale · G · (p - source)``."""

    source: np.ndarray
    target: np.ndarray
    scale: float
    facing: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Take points (..., 3) from the source's world to the target's."""
        return self.target + self.scale * (points - self.source) @ self.facing.T


def transfer_rotations(plan: TransferPlan, source: np.ndarray) -> np.ndarray:
    """World rotations (N, K, 3, 3) of the driven bones from those (N, J, 3, 3) of the source's joints."""
    rest = np.swapaxes(plan.source.rig.axes[plan.joints], -1, -2)
    rows = np.ascontiguousarray(source).reshape(*source.shape[:2], 9)
    global_rotations = np.empty((len(source), len(plan.bones), 9))
    # G·S(t) times the constant S_rest⁻¹·G⁻¹·X·T_rest.
    constant = rest[plan.below] @ plan.facing.T @ plan.aligned
    for index in np.flatnonzero(plan.fraction == 0.0):
        np.matmul(rows[:, plan.below[index]], _both_sides(plan.facing, constant[index]), out=global_rotations[:, index])
    between = np.flatnonzero(plan.fraction != 0.0)
    if between.size:
        needed = sorted({*plan.below[between].tolist(), *plan.above[between].tolist()})
        moved = {
            joint: _quaternions((rows[:, joint] @ _both_sides(plan.facing, rest[joint] @ plan.facing.T)).T)
            for joint in needed
        }
        for index in between:
            ends = moved[int(plan.below[index])], moved[int(plan.above[index])]
            middle = rotations.quaternion_to_matrix(rotations.slerp(*ends, plan.fraction[index])).reshape(-1, 9)
            np.matmul(middle, _both_sides(np.eye(3), plan.aligned[index]), out=global_rotations[:, index])
    return global_rotations.reshape(*global_rotations.shape[:2], 3, 3)


def fit_path(plan: TransferPlan, centres: np.ndarray, ankles: np.ndarray, keep_position: bool = False) -> PathTransform:
    """Find how the source's path is moved to the target: scaled by the legs, onto its floor.

    Args:
        plan: the plan.
        centres: (N, 3) the middle between the source's thighs over time, in the world.
        ankles: (N, 2, 3) the source's ankles.
        keep_position: start at the source's position in the world; otherwise relative to the armature objects' origins.
    """
    source, target = plan.source, plan.target
    scale = target.leg / source.leg
    floors = [floor_height(source, ankles), floor_height(target, None)]
    origins = [body.rig.world[:3, 3].copy() for body in (source, target)]
    if keep_position:
        origins = [centres[0].copy(), centres[0].copy()]
    for origin, floor, body in zip(origins, floors, (source, target), strict=True):
        # The ankle's height scales with the shoe, not with the leg.
        origin[2] = floor + body.ankle
    return PathTransform(origins[0], origins[1], scale, plan.facing)


def hips_heads(plan: TransferPlan, global_rotations: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """World positions (N, 3) of the hips bone's head that put the middle of the thighs at ``centres`` (N, 3)."""
    hips, rig = plan.driven("hips"), plan.target.rig
    thighs = [plan.driven(f"{side}_thigh") for side in SIDES]
    carried = [thigh for thigh in thighs if thigh >= 0 and hips in _carriers(plan, thigh)]
    if len(carried) < len(thighs):
        arm = rig.axes[plan.bones[hips]].T @ (rig.heads[plan.bones[hips]] - plan.target.centre)
        return centres + global_rotations[:, hips] @ arm
    heads = centres.copy()
    for thigh in carried:
        # Spine bones may lie between: Biped's thighs are children of one.
        for index, carrier in zip([thigh, *_carriers(plan, thigh)], _carriers(plan, thigh), strict=False):
            if index == hips:
                break
            heads -= _offset(plan, global_rotations, index, carrier) / len(thighs)
    return heads


def positions(plan: TransferPlan, global_rotations: np.ndarray, hips: np.ndarray) -> np.ndarray:
    """World positions (N, K, 3) of the driven bones' heads.

    Args:
        plan: the plan.
        global_rotations: (N, K, 3, 3) their world rotations.
        hips: (N, 3) the hips bone's head.
    """
    rig = plan.target.rig
    # Stored bone by bone, in the order of computation.
    heads = np.repeat(rig.heads[plan.bones][:, None], len(global_rotations), axis=1)
    root = plan.driven("hips")
    heads[root] = hips
    for index in _from_the_hips(plan, root):
        carrier = int(plan.position_parents[index])
        np.add(heads[carrier], _offset(plan, global_rotations, index, carrier), out=heads[index])
    return heads.transpose(1, 0, 2)


def basis_quaternions(plan: TransferPlan, global_rotations: np.ndarray) -> np.ndarray:
    """Quaternions (N, K, 4) of the driven pose bones, without sign flips, from world rotations (N, K, 3, 3)."""
    axes = plan.target.rig.axes[plan.bones]
    parents = np.maximum(plan.rotation_parents, 0)
    free = np.flatnonzero(plan.rotation_parents < 0)
    # A bone inherits its parent's rotation times a constant.
    constant = np.stack([_both_sides(np.eye(3), axes[one].T @ own).T for one, own in zip(parents, axes, strict=True)])
    rows = np.ascontiguousarray(global_rotations).reshape(*global_rotations.shape[:2], 9)
    quaternions = np.empty((*global_rotations.shape[:2], 4))
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        own = rows[block].transpose(1, 2, 0).copy()
        inherited = constant @ own[parents]
        inherited[free] = axes[free].reshape(-1, 9, 1)
        basis = _transposed_times(inherited.transpose(1, 0, 2), own.transpose(1, 0, 2))
        quaternions[block] = _quaternions(basis).transpose(1, 0, 2)
    return rotations.make_continuous(quaternions)


def bone_location(rig: Rig, bone: int, heads: np.ndarray) -> np.ndarray:
    """Locations (N, 3) of a pose bone that put its head at ``heads`` (N, 3) in the world; its parents are at rest."""
    moved = rig.to_armature(heads) - rig.rest[bone, :3, 3]
    # Locations are along the bone's own axes, or else along its parent's.
    axes = bone if rig.local_location[bone] else int(rig.parents[bone])
    return moved @ rotations.project(rig.rest[axes, :3, :3]) if axes >= 0 else moved


def _from_the_hips(plan: TransferPlan, root: int) -> list[int]:
    """The driven bones that move with the hips, carriers first."""
    reached, ordered, waiting = {root}, [], [index for index in range(len(plan.bones)) if index != root]
    while True:
        ready = [index for index in waiting if plan.position_parents[index] in reached]
        if not ready:
            return ordered
        ordered.extend(ready)
        reached.update(ready)
        waiting = [index for index in waiting if index not in reached]


def _carriers(plan: TransferPlan, index: int) -> list[int]:
    """The driven bones that carry one, nearest first."""
    above = []
    while plan.position_parents[index] >= 0:
        index = int(plan.position_parents[index])
        above.append(index)
    return above


def _offset(plan: TransferPlan, global_rotations: np.ndarray, index: int, carrier: int) -> np.ndarray:
    """The vectors (N, 3) from a carrier's head to that of the driven bone it carries."""
    rig = plan.target.rig
    arm = rig.axes[plan.bones[carrier]].T @ (rig.heads[plan.bones[index]] - rig.heads[plan.bones[carrier]])
    return global_rotations[:, carrier].reshape(-1, 9) @ np.kron(np.eye(3), arm[:, None])


def _both_sides(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The matrix (9, 9) that takes the rows of M to those of ``before · M · after``, for rows (N, 9) in one product."""
    return np.kron(before.T, after)


def _transposed_times(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """firstᵀ · second (9, ...) of rotations given by their nine numbers (9, ...), row by row."""
    product = np.empty(second.shape)
    for row in range(3):
        for column in range(3):
            total = product[3 * row + column]
            np.multiply(first[row], second[column], out=total)
            total += first[3 + row] * second[3 + column]
            total += first[6 + row] * second[6 + column]
    return product


def _quaternions(numbers: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), w ≥ 0, of rotations given by their nine numbers (9, ...), row by row."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = numbers
    square = 1.0 + xx + yy + zz
    quaternions = np.empty((*square.shape, 4))
    scale = 0.5 / np.sqrt(np.maximum(square, 1e-12))
    for part, value in enumerate((square, zy - yz, xz - zx, yx - xy)):
        np.multiply(scale, value, out=quaternions[..., part])
    # Near 180° w is too small to divide by.
    far = square < _FAR
    if far.any():
        quaternions[far] = rotations.matrix_to_quaternion(numbers[:, far].T.reshape(-1, 3, 3))
    return quaternions
