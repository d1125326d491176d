"""Where BlazePose's 33 landmarks lie on a body, as recipes of vertices and joints."""

from collections.abc import Mapping

import numpy as np

from .rotations import Floats
from .skeleton import JOINT_NAMES, LANDMARK_NAMES

Recipe = Mapping[int | str, float]
"""Weights, summing to one, of vertex numbers and joint names."""

JOINT_LANDMARKS: dict[str, str] = {
    f"{side}_{part}": f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}


def _smpl_hand(side: str, thumb: int, index: int, pinky: int) -> dict[str, Recipe]:
    hand = f"{side}_hand"
    return {
        f"{side}_thumb": {hand: 0.45, thumb: 0.55},
        f"{side}_index": {hand: 0.5, index: 0.5},
        f"{side}_pinky": {hand: 0.5, pinky: 0.5},
    }


SMPL_VERTICES = 6890
SMPL_LANDMARKS: dict[str, Recipe] = {
    **{landmark: {joint: 1.0} for landmark, joint in JOINT_LANDMARKS.items()},
    "nose": {332: 1.0},
    # The two eye vertices are 6 cm apart; corners lie a quarter of that to either side.
    "left_eye": {2800: 1.0},
    "left_eye_inner": {2800: 0.75, 6260: 0.25},
    "left_eye_outer": {2800: 1.2, 6260: -0.2},
    "right_eye": {6260: 1.0},
    "right_eye_inner": {6260: 0.75, 2800: 0.25},
    "right_eye_outer": {6260: 1.2, 2800: -0.2},
    "left_ear": {583: 1.0},
    "right_ear": {4071: 1.0},
    # Below the nose by about as much as the eyes are above it.
    "mouth_left": {332: 2.0, 2800: -0.85, 6260: -0.15},
    "mouth_right": {332: 2.0, 6260: -0.85, 2800: -0.15},
    **_smpl_hand("left", thumb=2746, index=2319, pinky=2673),
    **_smpl_hand("right", thumb=6191, index=5782, pinky=6133),
    "left_heel": {3387: 1.0},
    "right_heel": {6787: 1.0},
    "left_foot_index": {3216: 1.0},
    "right_foot_index": {6617: 1.0},
}
"""For SMPL's 6890 vertices, from the public vertex ids of its nose, eyes, ears, toes, heels and finger tips."""


def regressors(
    recipes: Mapping[str, Recipe],
    joint_regressor: Floats,
    skin_weights: Floats,
    carried: Mapping[str, tuple[Floats, str]] | None = None,
) -> tuple[Floats, Floats]:
    """Turn recipes into matrices over vertices and over joints.

    Args:
        recipes: by landmark; together with ``carried`` they name all of ``skeleton.LANDMARK_NAMES``.
        joint_regressor: (24, V).
        skin_weights: (V, 24).
        carried: points inside the body, each with its weights (V,) over vertices and the one joint that moves it.

    Returns:
        (33, V) weights that give the landmarks of a rest mesh, and (33, 24) skinning weights. A joint moves with
        itself alone.
    """
    over_vertices = np.zeros((len(LANDMARK_NAMES), len(skin_weights)))
    over_joints = np.zeros((len(LANDMARK_NAMES), len(JOINT_NAMES)))
    for row, name in enumerate(LANDMARK_NAMES):
        if carried is not None and name in carried:
            over_vertices[row], joint_name = carried[name]
            over_joints[row, JOINT_NAMES.index(joint_name)] = 1.0
            continue
        for source, weight in recipes[name].items():
            if isinstance(source, str):
                joint = JOINT_NAMES.index(source)
                over_vertices[row] += weight * joint_regressor[joint]
                over_joints[row, joint] += weight
            else:
                over_vertices[row, source] += weight
                over_joints[row] += weight * skin_weights[source]
    over_joints = np.maximum(over_joints, 0.0)
    return over_vertices, over_joints / over_joints.sum(axis=1, keepdims=True)


# Where BlazePose puts its points on this project's body, relative to the points themselves: the mean offset, in the
# bone's frame, over people rendered with known motion. {side} is the landmark's own side, {other} the other.
_BLAZEPOSE_OFFSETS: dict[str, tuple[dict[str, float], str]] = {
    "shoulder": ({"{side}_shoulder": 0.96, "{other}_shoulder": 0.04}, "{side}_collar"),
    "wrist": ({"{side}_wrist": 0.71, "{side}_hand": 0.29}, "{side}_wrist"),
    "thumb": ({"{side}_thumb": 0.5, "{side}_hand": 0.5}, "{side}_wrist"),
    "index": ({"{side}_index": 0.6, "{side}_hand": 0.4}, "{side}_wrist"),
    "pinky": ({"{side}_pinky": 0.6, "{side}_hand": 0.4}, "{side}_wrist"),
    "hip": ({"{side}_hip": 0.89, "{other}_hip": 0.11}, "pelvis"),
    "knee": ({"{side}_knee": 0.96, "{side}_ankle": 0.04}, "{side}_knee"),
    "ankle": ({"{side}_ankle": 0.95, "{side}_knee": 0.05}, "{side}_knee"),
    "heel": ({"{side}_heel": 0.94, "{side}_foot_index": 0.06}, "{side}_ankle"),
    "foot_index": ({"{side}_foot_index": 0.9, "{side}_heel": 0.1}, "{side}_foot"),
    "ear": ({"{side}_ear": 0.8, "{other}_ear": 0.05, "nose": 0.15}, "head"),
    "eye": ({"{side}_eye": 0.9, "{side}_ear": 0.1}, "head"),
}


def move_to_blazepose_positions(
    over_vertices: Floats, over_joints: Floats, joint_regressor: Floats
) -> tuple[Floats, Floats]:
    """Move anatomical landmarks to where BlazePose, on average, puts them.

    Args:
        over_vertices: (33, V) from ``regressors``.
        over_joints: (33, 24) from ``regressors``.
        joint_regressor: (24, V).
    """
    names = [*JOINT_NAMES, *LANDMARK_NAMES]
    # A landmark takes the name from a joint that has the same.
    points: dict[str, Floats] = dict(zip(names, np.concatenate([joint_regressor, over_vertices]), strict=True))
    seen_vertices, seen_joints = over_vertices.copy(), over_joints.copy()
    for side, other in (("left", "right"), ("right", "left")):
        for landmark, (mixture, bone) in _BLAZEPOSE_OFFSETS.items():
            row = LANDMARK_NAMES.index(f"{side}_{landmark}")
            named = {name.format(side=side, other=other): weight for name, weight in mixture.items()}
            seen_vertices[row] = np.sum([weight * points[name] for name, weight in named.items()], axis=0)
            seen_joints[row] = 0.0
            seen_joints[row, JOINT_NAMES.index(bone.format(side=side))] = 1.0
    return seen_vertices, seen_joints
