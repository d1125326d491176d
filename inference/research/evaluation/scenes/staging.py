"""What people do in a scene, in the y-up world of the training data's renderer."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ....body import rotations
from ....body.skeleton import JOINT_NAMES
from ....body.smpl import Body
from ....motion.contacts import runs
from ...training.mocap.grounding import sole_vertices
from ...training.mocap.library import Library
from ...training.mocap.recording import MotionClip
from ...training.synthesis import motions
from ...training.synthesis.contact import SOLES, STILL, foot_contacts
from ...training.synthesis.generate import random_shape
from ..truth import EvaluationError
from .recipes import Person, Recipes, SceneRecipe
from .world import heights_above

# Shapes differ by less than in training, where everybody is welcome.
_VARIETY = 0.6
_ANKLES = [JOINT_NAMES.index(name) for name in ("left_ankle", "right_ankle")]
_SEAT = [JOINT_NAMES.index(name) for name in ("pelvis", "left_hip", "right_hip")]
# Half the sides of a chair, and of a foothold; a foothold's height at least, metres.
_CHAIR, _FOOTHOLD, _STEP = 0.22, 0.16, 0.07
# Seconds in which somebody sits down, and in which arms close at the end of a scene.
_SITTING = (0.5, 2.2)
_CLOSING = 1.2


@dataclass(frozen=True)
class Role:
    """One person's motion over n frames.

    Attributes:
        betas: (10,) shape.
        rotations: (n, 24, 3, 3) local rotations, the root's in the world.
        trans: (n, 3) SMPL translation, metres.
    """

    betas: np.ndarray
    rotations: np.ndarray
    trans: np.ndarray

    def joints(self, body: Body) -> np.ndarray:
        """(n, 24, 3) in the world."""
        return body.joints(self.rotations, self.betas, self.trans)

    def soles(self, body: Body) -> np.ndarray:
        """(n, 4, 3) left heel, left toe, right heel, right toe in the world."""
        return body.landmark_positions(self.rotations, self.betas, self.trans)[:, SOLES]


def stage(
    name: str, scene: SceneRecipe, recipes: Recipes, library: Library, body: Body
) -> tuple[list[Role], np.ndarray]:
    """Everybody in a scene, and (b, 2, 3) lowest and highest corners of the boxes that they sit or step on.

    Raises:
        EvaluationError: the library lacks a recording, or it is too short.
    """
    roles = []
    boxes = []
    for number, person in enumerate(scene.people):
        # A name's shapes stay the same when scenes are added.
        rng = np.random.default_rng([recipes.seed, zlib.crc32(name.encode()), number])
        betas = _VARIETY * random_shape(body, rng)
        if person.made == "sit":
            role = _sit(body, betas, scene.frames, recipes.frame_rate)
        else:
            role = _recorded(person, library, body, betas, scene.frames, recipes.frame_rate)
        if person.arms == "embrace":
            role = _embrace(role, recipes.frame_rate)
        role = _placed(person, role, body)
        roles.append(role)
        if person.made == "sit":
            boxes.append(_chair(role, body))
        if scene.footholds:
            boxes += _footholds(role, body, recipes.frame_rate)
    return roles, np.reshape(boxes, (-1, 2, 3))


def contacts(role: Role, body: Body, boxes: np.ndarray, rate: float) -> np.ndarray:
    """(n, 4) whether heels and toes stand on the floor or a box, as in the training data."""
    soles = role.soles(body)
    above = soles.copy()
    above[..., 1] = heights_above(soles[..., [0, 2]], soles[..., 1], boxes[..., [0, 2, 1]])
    return foot_contacts(above, rate)


def _recorded(person: Person, library: Library, body: Body, betas: np.ndarray, frames: int, rate: float) -> Role:
    found = np.flatnonzero(library.names == person.clip)
    if person.group is not None:
        found = found[library.groups[found] == person.group]
    if len(found) != 1:
        raise EvaluationError(
            f"The library has {len(found) or 'no'} recordings called {person.clip} ({person.group}):"
            " build it from the archives that the recipes name."
        )
    start, end = library.starts[found[0]], library.starts[found[0] + 1]
    rows = slice(start + person.first, end)
    clip = MotionClip("", "", library.frame_rate, library.poses[rows].astype(float), library.trans[rows].astype(float))
    clip = clip.at(rate)
    if len(clip) < frames:
        raise EvaluationError(
            f"The recording {person.clip} has {len(clip)} frames from {person.first} on, not {frames}."
        )
    trans = motions.in_longer_steps(clip.trans[:frames], body, betas)
    return Role(betas, rotations.axis_angle_to_matrix(clip.poses[:frames]), trans)


def _placed(person: Person, role: Role, body: Body) -> Role:
    """The role turned and moved along the floor to where the recipe wants it."""
    front = role.rotations[0, 0, :, 2]
    turn = rotations.axis_angle_to_matrix(
        np.array([0.0, np.radians(person.facing) - np.arctan2(front[0], front[2]), 0.0])
    )
    local = role.rotations.copy()
    local[:, 0] = turn @ local[:, 0]
    pelvis = body.rest_joints(role.betas)[0]
    path = (role.trans + pelvis) @ turn.T
    when = len(path) // 2 if person.when is None else person.when
    path[:, [0, 2]] += np.array(person.at) - path[when, [0, 2]]
    return Role(role.betas, local, path - pelvis)


def _ease(seconds: np.ndarray, begin: float, end: float) -> np.ndarray:
    share = np.clip((seconds - begin) / (end - begin), 0, 1)
    return share * share * (3 - 2 * share)


def _sit(body: Body, betas: np.ndarray, frames: int, rate: float) -> Role:
    """Somebody who stands, and sits down on a chair, feet flat on one spot."""
    seconds = np.arange(frames) / rate
    down = _ease(seconds, *_SITTING)
    thigh = np.radians(82) * down
    shin = np.radians(14) * np.sin(np.pi * down)
    lean = np.radians(38) * np.sin(np.pi * down) ** 2 + np.radians(4) * down
    angles = np.zeros((frames, 24, 3))
    angles[:, 0, 0] = lean
    for side, sign in (("left", 1.0), ("right", -1.0)):
        angles[:, JOINT_NAMES.index(f"{side}_hip"), 0] = -thigh - lean
        angles[:, JOINT_NAMES.index(f"{side}_knee"), 0] = thigh + shin
        angles[:, JOINT_NAMES.index(f"{side}_ankle"), 0] = -shin
        angles[:, JOINT_NAMES.index(f"{side}_shoulder")] = np.stack(
            [0 * down, -sign * 0.55 * down, np.full(frames, -sign * 1.2)], axis=1
        )
        angles[:, JOINT_NAMES.index(f"{side}_elbow"), 1] = -sign * (0.25 + 0.5 * down)
    local = rotations.axis_angle_to_matrix(angles)
    ankles = body.joints(local, betas)[:, _ANKLES].mean(axis=1)
    trans = ankles[0] - ankles
    trans[:, 1] -= body.vertices_subset(sole_vertices(body), local[:1], betas, trans[:1])[..., 1].min()
    return Role(betas, local, trans)


def _chair(role: Role, body: Body) -> np.ndarray:
    """(2, 3) the box on which a person sits in the end."""
    seat = np.flatnonzero(np.isin(body.weights.argmax(axis=1), _SEAT))
    points = body.vertices_subset(seat, role.rotations[-1:], role.betas, role.trans[-1:])[0]
    pelvis, front = role.joints(body)[-1, 0], role.rotations[-1, 0, :, 2]
    middle = pelvis[[0, 2]] - 0.05 * front[[0, 2]]
    low, high = middle - _CHAIR, middle + _CHAIR
    inside = (np.abs(points[:, [0, 2]] - middle) < _CHAIR).all(axis=1)
    return np.array([[low[0], 0.0, low[1]], [high[0], points[inside, 1].min(), high[1]]])


def _footholds(role: Role, body: Body, rate: float) -> list[np.ndarray]:
    """(2, 3) boxes under the places above the floor where a foot stands still."""
    soles = role.soles(body)
    still = np.linalg.norm(np.gradient(soles, 1 / rate, axis=0), axis=-1) < STILL
    boxes = []
    for heel, toe in ((0, 1), (2, 3)):
        for first, last in runs(still[:, heel] & still[:, toe]):
            foot = soles[first:last, [heel, toe]].reshape(-1, 3)
            top = np.median(foot[:, 1]) - 0.01
            if last - first >= 0.1 * rate and top > _STEP:
                middle = foot[:, [0, 2]].mean(axis=0)
                low, high = middle - _FOOTHOLD, middle + _FOOTHOLD
                boxes.append(np.array([[low[0], 0.0, low[1]], [high[0], top, high[1]]]))
    return boxes


def _embrace(role: Role, rate: float) -> Role:
    """The role with its arms closed around somebody in front in the end."""
    n = len(role.trans)
    seconds = (np.arange(n) - n + 1) / rate
    share = _ease(seconds, -_CLOSING, -0.3)
    local = role.rotations.copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for part, angles in (("shoulder", [0.0, -1.0 * sign, -0.4 * sign]), ("elbow", [0.0, -1.8 * sign, 0.0])):
            joint = JOINT_NAMES.index(f"{side}_{part}")
            closed = rotations.axis_angle_to_quaternion(np.array(angles))
            now = rotations.matrix_to_quaternion(local[:, joint])
            local[:, joint] = rotations.quaternion_to_matrix(
                rotations.slerp(now, np.broadcast_to(closed, now.shape), share)
            )
    return Role(role.betas, local, role.trans)
