"""Clean-up of a captured motion: smoother limbs, held feet, in place, a loop. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...inference.body import rotations
from ...inference.motion.legs import contact_spans, lock_feet
from ...inference.motion.smoothing import smooth

LIMBS = {
    "head": ("neck", "head", "jaw", "eye"),
    "legs": ("hip", "knee", "ankle", "foot"),
    "arms": ("shoulder", "elbow", "wrist", "hand", "index", "middle", "pinky", "ring", "thumb"),
}
"""Words in the names of a limb's bones; everything else is the torso."""

# At strength 1: standard deviation of a bone's rotation and of the hips' place, and usual accelerations.
_ROTATION_SIGMA, _PLACE_SIGMA = np.radians(2.0), 0.01
_TURNING, _MOVING = 40.0, 6.0
_LEG = ("hip", "knee", "ankle")


@dataclass(frozen=True)
class Moves:
    """A motion as its keys have it.

    Attributes:
        frames: (N,) of the scene, increasing.
        bones: names of B bones.
        turns: (N, B, 4) unit quaternions in the bones' own axes.
        hips: (N, 3) metres, where the first bone's head is in armature space.
        contacts: (N, 2) whether the left and the right foot stand, 0 to 1; None where that is unknown.
    """

    frames: np.ndarray
    bones: tuple[str, ...]
    turns: np.ndarray
    hips: np.ndarray
    contacts: np.ndarray | None = None


@dataclass(frozen=True)
class Skeleton:
    """The rest pose of the bones of `Moves`: (B, 3) heads and (B, 3, 3) axes in armature space, (B,) parents or -1."""

    heads: np.ndarray
    axes: np.ndarray
    parents: np.ndarray


def limb_of(bone: str) -> str:
    """The limb that a bone belongs to."""
    return next((limb for limb, words in LIMBS.items() if any(word in bone for word in words)), "torso")


def smoothed(moves: Moves, rate: float, strengths: dict[str, float]) -> Moves:
    """Calm the limbs by their strengths, 0 for not at all; the hips' path follows the torso's."""
    times = moves.frames / rate
    turns, hips = moves.turns.copy(), moves.hips
    for limb, strength in strengths.items():
        chosen = [index for index, bone in enumerate(moves.bones) if limb_of(bone) == limb]
        if strength <= 0.0 or not chosen:
            continue
        # A quaternion moves half as far as its rotation.
        weights = np.full((len(times), len(chosen)), (2.0 / (_ROTATION_SIGMA * strength)) ** 2)
        calm = smooth(rotations.make_continuous(turns[:, chosen]), weights, times, _TURNING / 2.0)
        turns[:, chosen] = calm / np.linalg.norm(calm, axis=-1, keepdims=True)
        if limb == "torso":
            weights = np.full((len(times), 1), 1.0 / (_PLACE_SIGMA * strength) ** 2)
            hips = smooth(hips[:, None], weights, times, _MOVING)[:, 0]
    return replace(moves, turns=turns, hips=hips)


def held(moves: Moves, skeleton: Skeleton, rate: float) -> Moves:
    """Bend the legs so that feet stay in place while they are marked as standing; the feet's directions are kept."""
    if moves.contacts is None or len(moves.frames) < 3:
        return moves
    times = moves.frames / rate
    turned, heads = posed(moves, skeleton)
    legs = np.array([[moves.bones.index(f"{side}_{part}") for part in _LEG] for side in ("left", "right")])
    balls = [moves.bones.index(f"{side}_foot") for side in ("left", "right")]
    thighs, shins, ankles = legs.T
    # The armature faces -Y at rest.
    front = turned[:, thighs] @ (np.swapaxes(skeleton.axes[thighs], 1, 2) @ np.array([0.0, -1.0, 0.0]))[..., None]
    change = lock_feet(
        heads[:, legs], heads[:, balls], contact_spans(moves.contacts > 0.5, times), times, front[..., 0]
    )
    wanted = turned.copy()
    wanted[:, thighs], wanted[:, shins] = change.thighs @ turned[:, thighs], change.shins @ turned[:, shins]
    turns = moves.turns.copy()
    for bone in (*thighs, *shins, *ankles):
        parent = skeleton.parents[bone]
        rest = skeleton.axes[parent].T @ skeleton.axes[bone]
        turns[:, bone] = rotations.matrix_to_quaternion(np.swapaxes(wanted[:, parent] @ rest, 1, 2) @ wanted[:, bone])
    return replace(moves, turns=turns, hips=moves.hips + change.hips)


def posed(moves: Moves, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Directions (N, B, 3, 3) and heads (N, B, 3) of the bones in armature space; parents come first."""
    own = rotations.quaternion_to_matrix(moves.turns)
    turned, heads = np.empty_like(own), np.empty((*own.shape[:2], 3))
    for bone, parent in enumerate(skeleton.parents):
        if parent < 0:
            turned[:, bone], heads[:, bone] = skeleton.axes[bone] @ own[:, bone], moves.hips
            continue
        turned[:, bone] = turned[:, parent] @ (skeleton.axes[parent].T @ skeleton.axes[bone]) @ own[:, bone]
        offset = skeleton.axes[parent].T @ (skeleton.heads[bone] - skeleton.heads[parent])
        heads[:, bone] = heads[:, parent] + turned[:, parent] @ offset
    return turned, heads


def in_place(moves: Moves) -> Moves:
    """Take the path over the floor out of a motion; heights stay."""
    hips = moves.hips.copy()
    hips[:, :2] = hips[0, :2]
    return replace(moves, hips=hips)


def looped(moves: Moves, blend: int) -> Moves:
    """Let the end run into the beginning: its last ``blend`` frames are blended over the first ones and left out.

    What leads on over the floor from the beginning to the end stays as the way of one round.
    """
    blend = min(blend, (len(moves.frames) - 1) // 2)
    if blend < 1:
        return moves
    count = len(moves.frames) - blend
    share = np.arange(blend) / blend
    share = share * share * (3.0 - 2.0 * share)
    turns, hips = moves.turns[:count].copy(), moves.hips[:count].copy()
    shares = np.repeat(share[:, None], turns.shape[1], axis=1)
    turns[:blend] = rotations.slerp(moves.turns[count:], moves.turns[:blend], shares)
    end = moves.hips[count:].copy()
    end[:, :2] -= moves.hips[count, :2] - moves.hips[0, :2]
    hips[:blend] = (1.0 - share[:, None]) * end + share[:, None] * moves.hips[:blend]
    contacts = None if moves.contacts is None else moves.contacts[:count]
    return replace(moves, frames=moves.frames[:count], turns=turns, hips=hips, contacts=contacts)
