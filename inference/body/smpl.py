"""SMPL's forward pass in NumPy: shape, joints, kinematics and skinning, for many frames at once.

Frame of reference: the body's (x to its left, y up, z to the front), metres. θ are axis-angle vectors or matrices of
the 24 joints (52 of a body with fingers) relative to their parents, β the shape coefficients. A vertex v of a person
whose root turns by R and moves by ``trans`` lands on ``R (v − J_0) + J_0 + trans``, as in SMPL (Loper et al., 2015) and
in ``smplx``.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import spill
from . import fingers
from . import landmarks as landmark_recipes
from .bodyfile import Arrays, BodyError
from .face import COEFFICIENTS
from .figures import Figures
from .kinds import BUILDS, GENDERS
from .rotations import Floats, axis_angle_to_matrix
from .skeleton import (
    BODY_JOINTS,
    FINGER_JOINT_NAMES,
    FINGER_TIP_NAMES,
    FINGER_TIP_PARENTS,
    JOINT_NAMES,
    LANDMARK_NAMES,
    SMPLH_JOINT_NAMES,
    SMPLH_PARENTS,
)

__all__ = ["Body", "BodyError", "FaceUnits", "Fingers", "Points"]

Ints = NDArray[np.integer[Any]]

_JOINTS = len(JOINT_NAMES)
_POSE_FEATURES = 9 * (_JOINTS - 1)
_SHAPE_LIMIT = 10


@dataclass(frozen=True, eq=False)
class Points:
    """K points skinned to bones: some vertices, or the landmarks.

    Attributes:
        template: (K, 3) for β = 0.
        shapedirs: (K, 3, B).
        posedirs: (K, 3, 207), or None where the body has none.
        weights: (K, 24) skinning weights.
    """

    template: Floats
    shapedirs: Floats
    posedirs: Floats | None
    weights: Floats

    def rest(self, betas: ArrayLike | None = None) -> Floats:
        """Rest positions (..., K, 3) for betas (..., ≤ B)."""
        return _shaped(self.template, self.shapedirs, betas)


@dataclass(frozen=True, eq=False)
class Fingers:
    """What SMPL-H's fingers need beside a body of SMPL, whose hands are relaxed.

    Attributes:
        regressor: (40, V) from rest vertices the rest places of `FINGER_JOINT_NAMES` and `FINGER_TIP_NAMES`.
        weights: (V, 30) skinning weights, parts of those of SMPL's wrists and hands.
        relaxed: (30, 3) local rotations of the relaxed hands from SMPL-H's flat ones, axis-angle.
    """

    regressor: Floats
    weights: Floats
    relaxed: Floats


@dataclass(frozen=True, eq=False)
class FaceUnits:
    """What moves the face of a body.

    Attributes:
        vertices: (K,) those that move.
        moves: (52, K, 3) how far each of `face.COEFFICIENTS` moves them at rest, metres.
    """

    vertices: Ints
    moves: Floats


def _shaped(template: Floats, directions: Floats, betas: ArrayLike | None) -> Floats:
    if betas is None:
        return template
    beta = np.asarray(betas, dtype=template.dtype)
    if beta.shape[-1] > directions.shape[-1]:
        raise ValueError(f"{beta.shape[-1]} shape coefficients given, the body has {directions.shape[-1]}")
    moves = beta @ directions[..., : beta.shape[-1]].reshape(-1, beta.shape[-1]).T
    return template + moves.reshape(*beta.shape[:-1], *template.shape)


@dataclass(frozen=True, eq=False)
class Body:
    """A body in SMPL's format. All arrays share one floating dtype.

    `with_fingers` gives one with SMPL-H's 52 joints, for which every 24 below is 52.

    Attributes:
        name: as in the file, or the file's name without the suffix.
        licence: a sentence from the file, or an empty string.
        v_template: (V, 3) rest vertices in T-pose.
        shapedirs: (V, 3, B), B ≤ 10.
        posedirs: (V, 3, 207), or None if the file has none or only zeros.
        joint_regressor: (24, V).
        weights: (V, 24).
        parents: 24 joint numbers, −1 for the root.
        faces: (F, 3) triangles.
        quads: (Q, 4), or None.
        uv: (T, 2) texture coordinates, or None.
        uv_quads: (Q, 4) numbers into ``uv``, one for each corner of ``quads``, or None.
        parts: (V,) numbers into ``part_names``, or None.
        part_names: names of the parts (skin, eyes, …).
        landmark_weights: (33, V) rest landmarks from rest vertices, or None for an unknown topology.
        landmark_bones: (33, 24) skinning weights of the landmarks, or None.
        fingers: of a body that can have SMPL-H's fingers, else None.
        face_units: of a body whose face can move, else None.
        figures: of a body that can be a woman's or a man's, else None.
        regions: (Q,) numbers into ``region_names`` of the quads, or None.
        region_names: names of the regions of skin, clothes and hair.
        clothes: (V, 3) moves that dress the body, metres, or None.
    """

    name: str
    licence: str
    v_template: Floats
    shapedirs: Floats
    posedirs: Floats | None
    joint_regressor: Floats
    weights: Floats
    parents: tuple[int, ...]
    faces: Ints
    quads: Ints | None = None
    uv: Floats | None = None
    uv_quads: Ints | None = None
    parts: Ints | None = None
    part_names: tuple[str, ...] = ()
    landmark_weights: Floats | None = None
    landmark_bones: Floats | None = None
    fingers: Fingers | None = None
    face_units: FaceUnits | None = None
    figures: Figures | None = None
    regions: Ints | None = None
    region_names: tuple[str, ...] = ()
    clothes: Floats | None = None

    @classmethod
    def load(cls, path: str | Path, dtype: type[np.floating[Any]] = np.float64) -> "Body":
        """Read the built body, or a licensed SMPL ``.npz`` or ``.pkl``.

        Pickles are read with an unpickler that admits arrays, sparse matrices and chumpy variables only.

        Raises:
            BodyError: the file is missing, damaged, or not a SMPL body.
        """
        path = Path(path)
        arrays = Arrays(path)

        def number(name: str, *shape: int | None) -> Floats:
            array = arrays.get(name)
            if array.ndim != len(shape) or any(w not in (None, h) for w, h in zip(shape, array.shape, strict=True)):
                wanted = ", ".join("any" if side is None else str(side) for side in shape)
                raise BodyError(f"{path.name} is not a SMPL body file: its {name} is {array.shape}, not ({wanted}).")
            if not np.isfinite(array).all():
                raise BodyError(f"{path.name} is damaged: its {name} has values that are not numbers.")
            return np.ascontiguousarray(array, dtype=dtype)

        def optional(name: str, *shape: int | None) -> Floats | None:
            return number(name, *shape) if name in arrays else None

        def indices(name: str, count: int, *shape: int | None) -> Ints:
            array = np.asarray(number(name, *shape), dtype=np.int64)
            if array.size and not (array.min() >= 0 and array.max() < count):
                raise BodyError(f"{path.name} is damaged: its {name} points outside its vertices.")
            return array

        v_template = number("v_template", None, 3)
        count = len(v_template)
        shapedirs = number("shapedirs", count, 3, None)[..., :_SHAPE_LIMIT]
        posedirs = optional("posedirs", count, 3, _POSE_FEATURES)
        if posedirs is not None and not posedirs.any():
            posedirs = None
        joint_regressor = number("J_regressor", _JOINTS, count)
        weights = number("weights", count, _JOINTS)
        tree = arrays.get("kintree_table")
        if tree.shape != (2, _JOINTS):
            raise BodyError(
                f"{path.name} is not a SMPL body file: its kintree_table is {tree.shape}, not 2 × {_JOINTS}."
            )
        parents = (-1, *(int(parent) for parent in tree[0, 1:]))
        if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
            raise BodyError(f"{path.name} is damaged: a joint of its kintree_table comes before its parent.")

        landmark_weights = optional("landmark_weights", len(LANDMARK_NAMES), count)
        landmark_bones = optional("landmark_bones", len(LANDMARK_NAMES), _JOINTS)
        if landmark_weights is None and count == landmark_recipes.SMPL_VERTICES:
            over_vertices, over_joints = landmark_recipes.regressors(
                landmark_recipes.SMPL_LANDMARKS, joint_regressor, weights
            )
            landmark_weights, landmark_bones = over_vertices.astype(dtype), over_joints.astype(dtype)
        uv = optional("uv", None, 2)
        own_fingers = None
        if "finger_weights" in arrays:
            own_fingers = Fingers(
                number("finger_regressor", len(FINGER_JOINT_NAMES) + len(FINGER_TIP_NAMES), count),
                number("finger_weights", count, len(FINGER_JOINT_NAMES)),
                number("relaxed_hands", len(FINGER_JOINT_NAMES), 3),
            )
        face_units = None
        if "face_units" in arrays:
            moved = indices("face_vertices", count, None)
            face_units = FaceUnits(moved, number("face_units", len(COEFFICIENTS), len(moved), 3))
        figures = None
        if "figure_means" in arrays:
            side = shapedirs.shape[2]
            means = number("figure_means", len(GENDERS), len(BUILDS), side)
            figures = Figures(means, number("figure_covariance", side, side))
        return cls(
            name=str(arrays.get("name", "U")) if "name" in arrays else path.stem,
            licence=str(arrays.get("licence", "U")) if "licence" in arrays else "",
            v_template=v_template,
            shapedirs=np.ascontiguousarray(shapedirs),
            posedirs=posedirs,
            joint_regressor=joint_regressor,
            weights=weights,
            parents=parents,
            faces=indices("f", count, None, 3),
            quads=indices("quads", count, None, 4) if "quads" in arrays else None,
            uv=uv,
            uv_quads=indices("uv_quads", len(uv), None, 4) if uv is not None and "uv_quads" in arrays else None,
            parts=indices("parts", 256, count) if "parts" in arrays else None,
            part_names=tuple(arrays.get("part_names", "U").tolist()) if "part_names" in arrays else (),
            landmark_weights=landmark_weights,
            landmark_bones=landmark_bones,
            fingers=own_fingers,
            face_units=face_units,
            figures=figures,
            regions=indices("regions", 256, len(arrays.get("quads"))) if "regions" in arrays else None,
            region_names=tuple(arrays.get("region_names", "U").tolist()) if "region_names" in arrays else (),
            clothes=optional("clothes", count, 3),
        )

    @property
    def joint_names(self) -> tuple[str, ...]:
        """SMPL's names of the joints, or SMPL-H's."""
        return JOINT_NAMES if len(self.parents) == len(JOINT_NAMES) else SMPLH_JOINT_NAMES

    @property
    def polygons(self) -> Ints:
        """(F, 3 or 4) the vertices of each: quads where the body has them, else triangles."""
        return self.faces if self.quads is None else self.quads

    @cached_property
    def with_fingers(self) -> "_BodyWithFingers | None":
        """The body with SMPL-H's 52 joints and flat hands at rest; None for one whose fingers don't move.

        It has no pose correctives. Posed with `fingers.relaxed` it is this body.
        """
        if self.fingers is None:
            return None
        fingers_of = self.fingers
        points = fingers_of.regressor @ self.v_template
        point_dirs = np.tensordot(fingers_of.regressor, self.shapedirs, axes=1)
        count = len(FINGER_JOINT_NAMES)
        # Everything below is linear in the vertices, so each shape direction is straightened like the template.
        vertices = np.concatenate([self.v_template[None], np.moveaxis(self.shapedirs, 2, 0)])
        body = np.concatenate([self.joint_template[None], np.moveaxis(self.joint_shapedirs, 2, 0)])[:, :BODY_JOINTS]
        bent = np.concatenate([points[None], np.moveaxis(point_dirs, 2, 0)])
        relaxed = np.concatenate([body, bent[:, :count]], axis=1)
        turns = fingers.relaxing_turns(fingers_of.relaxed)
        straight = fingers.chained(relaxed, np.swapaxes(turns, 1, 2))
        weights = fingers.smplh_weights(self.weights, fingers_of.weights)
        moved = np.flatnonzero(fingers_of.weights.any(axis=1))
        matrices, moves = fingers.blended(weights[moved], turns, straight, relaxed)
        vertices[:, moved] = np.linalg.solve(matrices, (vertices[:, moved] - moves)[..., None])[..., 0]
        last = list(FINGER_TIP_PARENTS)
        tips = np.einsum("tba,...tb->...ta", turns[last], bent[:, count:] - relaxed[:, last]) + straight[:, last]
        attributes: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        attributes |= {
            "fingers": None,
            "posedirs": None,
            "v_template": vertices[0],
            "shapedirs": np.ascontiguousarray(np.moveaxis(vertices[1:], 0, 2)),
            "weights": weights,
            "parents": SMPLH_PARENTS,
            "landmark_bones": None if self.landmark_bones is None else _without_hands(self.landmark_bones),
        }
        return _BodyWithFingers(
            **attributes,
            straight=straight,
            tips=tips,
        )

    @cached_property
    def joint_template(self) -> Floats:
        """Rest joints (24, 3) for β = 0."""
        return self.joint_regressor @ self.v_template

    @cached_property
    def joint_shapedirs(self) -> Floats:
        """Shape directions (24, 3, B) of the rest joints."""
        return np.tensordot(self.joint_regressor, self.shapedirs, axes=1)

    @cached_property
    def surface(self) -> Points:
        """All vertices."""
        return Points(self.v_template, self.shapedirs, self.posedirs, self.weights)

    @cached_property
    def landmarks(self) -> Points:
        """BlazePose's 33 landmarks as skinned points: posed, they are Σ_j w_kj (G_j · x_k).

        Raises:
            BodyError: the landmarks are not defined on this mesh.
        """
        if self.landmark_weights is None or self.landmark_bones is None:
            raise BodyError(f"{self.name} has {len(self.v_template)} vertices, on which the landmarks are not defined.")
        posedirs = None
        if self.posedirs is not None:
            posedirs = np.tensordot(self.landmark_weights, self.posedirs, axes=1)
            # A joint is not moved by pose correctives.
            posedirs[self.landmark_bones.max(axis=1) == 1.0] = 0.0
        return Points(
            self.landmark_weights @ self.v_template,
            np.tensordot(self.landmark_weights, self.shapedirs, axes=1),
            posedirs,
            self.landmark_bones,
        )

    def points(self, indices: ArrayLike) -> Points:
        """Chosen vertices (K,), to be posed cheaply many times by ``skin``."""
        chosen = np.asarray(indices)
        posedirs = None if self.posedirs is None else self.posedirs[chosen]
        return Points(self.v_template[chosen], self.shapedirs[chosen], posedirs, self.weights[chosen])

    def shape(self, betas: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Rest vertices (..., V, 3) and rest joints (..., 24, 3) for betas (..., ≤ B)."""
        return self.surface.rest(betas), self.rest_joints(betas)

    def height(self, betas: ArrayLike | None = None) -> float:
        """Height in metres from the soles to the top of the head, standing, for betas (≤ B,)."""
        return float(np.ptp(self.surface.rest(betas)[:, 1]))

    def rest_joints(self, betas: ArrayLike | None = None) -> Floats:
        """Rest joints (..., 24, 3) for betas (..., ≤ B)."""
        return _shaped(self.joint_template, self.joint_shapedirs, betas)

    def rest_landmarks(self, betas: ArrayLike | None = None) -> Floats:
        """Rest landmarks (..., 33, 3) for betas (..., ≤ B)."""
        return self.landmarks.rest(betas)

    def local_rotations(self, poses: ArrayLike) -> Floats:
        """Matrices (N, 24, 3, 3) of poses given as (N, 72), (N, 24, 3) axis-angle or (N, 24, 3, 3) matrices."""
        pose = np.asarray(poses, dtype=self.v_template.dtype)
        count = len(self.parents)
        if pose.shape[1:] == (count, 3, 3):
            return pose
        if pose.shape[1:] in ((3 * count,), (count, 3)):
            return axis_angle_to_matrix(pose.reshape(-1, count, 3))
        raise ValueError(f"expected poses (N, {3 * count}), (N, {count}, 3) or (N, {count}, 3, 3), got {pose.shape}")

    @cached_property
    def _levels(self) -> list[tuple[list[int], list[int]]]:
        depth = [0] * len(self.parents)
        for joint, parent in enumerate(self.parents[1:], start=1):
            depth[joint] = depth[parent] + 1
        levels = [[joint for joint in range(len(depth)) if depth[joint] == level] for level in range(1, max(depth) + 1)]
        return [(joints, [self.parents[joint] for joint in joints]) for joints in levels]

    def global_rotations(self, poses: ArrayLike) -> Floats:
        """Rotations (N, 24, 3, 3) of the joints relative to the body's frame."""
        local = self.local_rotations(poses)
        out = np.empty_like(local)
        out[:, 0] = local[:, 0]
        for joints, parents in self._levels:
            out[:, joints] = out[:, parents] @ local[:, joints]
        return out

    def kinematics(
        self, poses: ArrayLike, betas: ArrayLike | None = None, trans: ArrayLike | None = None
    ) -> tuple[Floats, Floats]:
        """Global rotations (N, 24, 3, 3) and joints (N, 24, 3) of poses; ``betas`` (B,) or (N, B), ``trans`` (N, 3)."""
        rotations = self.global_rotations(poses)
        return rotations, self._joint_positions(rotations, self.rest_joints(betas), trans)

    def _joint_positions(self, rotations: Floats, rest: Floats, trans: ArrayLike | None) -> Floats:
        bones = rest - rest[..., [0, *self.parents[1:]], :]
        joints = np.empty(rotations.shape[:-1], dtype=rotations.dtype)
        joints[:, 0] = rest[..., 0, :]
        if trans is not None:
            joints[:, 0] += np.asarray(trans, dtype=joints.dtype)
        for level, parents in self._levels:
            joints[:, level] = joints[:, parents] + (rotations[:, parents] @ bones[..., level, :, None])[..., 0]
        return joints

    def joints(self, poses: ArrayLike, betas: ArrayLike | None = None, trans: ArrayLike | None = None) -> Floats:
        """Joints (N, 24, 3), without skinning; arguments as in ``kinematics``."""
        whole, beta = np.asarray(poses), None if betas is None else np.asarray(betas)
        move = None if trans is None else np.broadcast_to(np.asarray(trans), (len(whole), 3))

        def joints(window: slice) -> tuple[Floats]:
            part = beta[window] if beta is not None and beta.ndim == 2 and len(beta) > 1 else beta
            return (self.kinematics(whole[window], part, None if move is None else move[window])[1],)

        return spill.collect(len(whole), joints)[0]

    def vertices(
        self,
        poses: ArrayLike,
        betas: ArrayLike | None = None,
        trans: ArrayLike | None = None,
        chunk: int = 64,
    ) -> Floats:
        """All vertices (N, V, 3); computes ``chunk`` frames at a time, to save memory."""
        return self._posed(self.surface, poses, betas, trans, chunk)

    def vertices_in_detail(
        self,
        poses: ArrayLike,
        betas: ArrayLike | None = None,
        trans: ArrayLike | None = None,
        fingers: ArrayLike | None = None,
        face: ArrayLike | None = None,
    ) -> Floats:
        """All vertices (N, V, 3) with what hands and faces do, as far as the body can.

        Args:
            poses: (N, 24, 3) axis-angle.
            betas: as for ``vertices``.
            trans: the same.
            fingers: (N, 30, 3) axis-angle, None for relaxed ones.
            face: (N, 52), None for one at rest.
        """
        handed, whole = self.with_fingers, np.asarray(poses)
        body: Body = self
        if fingers is not None and handed is not None:
            body, whole = handed, np.concatenate([whole[:, :BODY_JOINTS], fingers], axis=1)
        points = body.vertices(whole, betas, trans)
        if face is not None and self.face_units is not None:
            points[:, self.face_units.vertices] += self.face_moves(face, self.global_rotations(poses))
        return points

    def vertices_subset(
        self,
        indices: ArrayLike,
        poses: ArrayLike,
        betas: ArrayLike | None = None,
        trans: ArrayLike | None = None,
    ) -> Floats:
        """Chosen vertices (N, K, 3). To pose the same ones repeatedly, keep ``points(indices)`` and use ``skin``."""
        return self._posed(self.points(indices), poses, betas, trans, chunk=4096)

    def landmark_positions(
        self, poses: ArrayLike, betas: ArrayLike | None = None, trans: ArrayLike | None = None
    ) -> Floats:
        """BlazePose's 33 landmarks (N, 33, 3) of posed bodies."""
        return self._posed(self.landmarks, poses, betas, trans, chunk=4096)

    def _posed(
        self, points: Points, poses: ArrayLike, betas: ArrayLike | None, trans: ArrayLike | None, chunk: int
    ) -> Floats:
        local = self.local_rotations(poses)
        beta = None if betas is None else np.asarray(betas, dtype=local.dtype)
        move = None if trans is None else np.broadcast_to(np.asarray(trans, dtype=local.dtype), (len(local), 3))
        out = np.empty((len(local), len(points.template), 3), dtype=local.dtype)
        for start in range(0, len(local), chunk):
            part = slice(start, start + chunk)
            part_beta = beta[part] if beta is not None and beta.ndim == 2 and len(beta) > 1 else beta
            rotations, joints = self.kinematics(local[part], part_beta, None if move is None else move[part])
            out[part] = self.skin(points, rotations, joints, part_beta, local[part])
        return out

    def skin(
        self,
        points: Points,
        rotations: Floats,
        joints: Floats,
        betas: ArrayLike | None = None,
        local: Floats | None = None,
    ) -> Floats:
        """Skinned points (N, K, 3).

        Args:
            points: to skin.
            rotations: global rotations (N, 24, 3, 3), from ``kinematics``.
            joints: posed joints (N, 24, 3), from ``kinematics`` with the same betas.
            betas: (B,) or (N, B).
            local: local rotations (N, 24, 3, 3), for the pose correctives of a body that has them; without them
                the correctives are left out.
        """
        rest_joints = self.rest_joints(betas)
        offsets = joints - (rotations @ rest_joints[..., None])[..., 0]
        rest = points.rest(betas)
        if points.posedirs is not None and local is not None:
            features = (local[:, 1:] - np.eye(3, dtype=local.dtype)).reshape(len(local), -1)
            moves = features @ points.posedirs.reshape(-1, _POSE_FEATURES).T
            rest = rest + moves.reshape(len(local), -1, 3)
        transforms = np.concatenate([rotations, offsets[..., None]], axis=-1)
        if rest.ndim == 2:
            # Σ_j w_kj (G_j x_k + t_j) = one product with the fixed matrix w_kj [x_k, 1].
            homogeneous = np.concatenate([rest, np.ones_like(rest[:, :1])], axis=1)
            weighted = (points.weights[:, :, None] * homogeneous[:, None, :]).reshape(len(rest), -1)
            flat = transforms.transpose(0, 2, 1, 3).reshape(-1, weighted.shape[1])
            return (flat @ weighted.T).reshape(len(transforms), 3, -1).transpose(0, 2, 1)
        blended = (points.weights @ transforms.reshape(*transforms.shape[:2], 12)).reshape(*rest.shape, 4)
        return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]

    def face_moves(self, coefficients: ArrayLike, rotations: Floats) -> Floats:
        """How far the vertices of `face_units` are moved (N, K, 3) by what faces do.

        Args:
            coefficients: (N, 52), named by `face.COEFFICIENTS`.
            rotations: global rotations (N, 24, 3, 3), from ``kinematics``.

        Raises:
            BodyError: the body's face can't move.
        """
        if self.face_units is None:
            raise BodyError(f"The face of {self.name} can't move.")
        moves = np.tensordot(np.asarray(coefficients, dtype=self.weights.dtype), self.face_units.moves, axes=1)
        count = len(self.parents)
        weights = self.weights[self.face_units.vertices]
        turns = (weights @ rotations.reshape(len(rotations), count, 9)).reshape(*moves.shape, 3)
        return (turns @ moves[..., None])[..., 0]


def _without_hands(weights: Floats) -> Floats:
    """Weights (K, 24) of points that no finger moves, over SMPL-H's joints (K, 52)."""
    return fingers.smplh_weights(weights, np.zeros((len(weights), len(FINGER_JOINT_NAMES)), dtype=weights.dtype))


@dataclass(frozen=True, eq=False)
class _BodyWithFingers(Body):
    """A body with SMPL-H's joints.

    Attributes:
        straight: (1 + B, 52, 3) the rest joints for β = 0, and their shape directions.
        tips: (1 + B, 10, 3) the same of `FINGER_TIP_NAMES`.
    """

    straight: Floats = field(default_factory=lambda: np.empty(0))
    tips: Floats = field(default_factory=lambda: np.empty(0))

    @cached_property
    def joint_template(self) -> Floats:
        """Rest joints (52, 3) for β = 0."""
        return self.straight[0]

    @cached_property
    def joint_shapedirs(self) -> Floats:
        """Shape directions (52, 3, B) of the rest joints."""
        return np.moveaxis(self.straight[1:], 0, 2)

    def rest_tips(self, betas: ArrayLike | None = None) -> Floats:
        """Rest finger tips (..., 10, 3), in the order of `FINGER_TIP_NAMES`, for betas (..., ≤ B)."""
        return _shaped(self.tips[0], np.moveaxis(self.tips[1:], 0, 2), betas)
