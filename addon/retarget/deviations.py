"""How far a target that Blender has evaluated is off the source: constraints, limits and drivers may interfere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ...inference.body import rotations
from .alignment import LIMBS
from .bones import FINGER_SLOTS, SIDES
from .plan import TransferPlan
from .sampling import Samples, evaluate_frames, is_plain, read_curves

TOLD_DEGREES = 10.0
"""From here on a difference is told."""

# Frames that Blender evaluates, which takes long in a large scene; frames that are read from curves.
_EVALUATED, _READ = 40, 1000

_NAMED = 4


@dataclass(frozen=True)
class Deviation:
    """How far a bone is off, at most.

    Attributes:
        bone: its name.
        degrees: from the direction of the source's limb; of other bones from the rotation that they were given,
            relative to the bone that carries them.
        frame: of the scene, where it is furthest off.
        on_purpose: whether it was given this direction, so that a standing foot stays in place.
    """

    bone: str
    degrees: float
    frame: float
    on_purpose: bool


def find_deviations(
    target: bpy.types.Object, plan: TransferPlan, source: Samples, global_rotations: np.ndarray
) -> list[Deviation]:
    """Compare a target as evaluated, but for its fingers, with its source; the worst first.

    Args:
        target: with the new action.
        plan: by which it was made.
        source: the source's motion.
        global_rotations: (N, K, 3, 3) the world rotations that the driven bones were given.
    """
    rig = plan.target.rig
    bpy.context.view_layer.update()
    # Fingers are many, and constraints on them rare.
    body = [index for index, slot in enumerate(plan.slots) if slot not in FINGER_SLOTS]
    place = {index: number for number, index in enumerate(body)}
    bones, carriers = plan.bones[body], np.array([place.get(int(one), -1) for one in plan.position_parents[body]])
    plain = is_plain(target, rig, bones)
    count = min(len(source.frames), _READ if plain else _EVALUATED)
    rows = np.unique(np.linspace(0, len(source.frames) - 1, count).round().astype(int))
    frames = source.frames[rows]
    seen = (read_curves if plain else evaluate_frames)(target, rig, bones, frames)
    both = seen.global_rotations, global_rotations[rows][:, body]
    given = np.degrees(rotations.relative_angle(*both))
    own = np.degrees(rotations.relative_angle(*(_relative(one, carriers) for one in both)))
    joint = {int(bone): index for index, bone in enumerate(plan.joints)}
    found = {}
    for side in SIDES:
        for part, end in LIMBS:
            slots = f"{side}_{part}", f"{side}_{end}"
            if all(slot in body.bones for slot in slots for body in (plan.source, plan.target)):
                ends = [joint[plan.source.bones[slot][0]] for slot in slots]
                wanted = (source.heads[rows, ends[1]] - source.heads[rows, ends[0]]) @ plan.facing.T
                first, second = (place[plan.driven(slot)] for slot in slots)
                now = seen.heads[:, second] - seen.heads[:, first]
                found[first] = np.degrees(
                    np.arctan2(np.linalg.norm(np.cross(wanted, now), axis=-1), np.sum(wanted * now, axis=-1))
                )
    deviations = []
    for index, bone in enumerate(bones):
        angles = found.get(index, own[:, index])
        row = int(np.argmax(angles))
        purpose = index in found and bool(given[row, index] < 0.5 * angles[row])
        deviations.append(Deviation(rig.names[bone], float(angles[row]), float(frames[row]), purpose))
    return sorted(deviations, key=lambda one: -one.degrees)


def _relative(turned: np.ndarray, carriers: np.ndarray) -> np.ndarray:
    """Rotations (N, K, 3, 3) relative to those of the bones that carry them, of which -1 is none."""
    carried = np.where((carriers >= 0)[:, None, None], turned[:, np.maximum(carriers, 0)], np.eye(3))
    return np.swapaxes(carried, -1, -2) @ turned


def tell_deviations(deviations: Sequence[Deviation], target: bpy.types.Object, held: bool) -> list[str]:
    """Sentences on the bones that are off by more than `TOLD_DEGREES`."""
    told = []
    far = [one for one in deviations if one.degrees > TOLD_DEGREES]
    off, bent = ([one for one in far if one.on_purpose == purpose] for purpose in (False, True))
    if off:
        told.append(
            f"{target.name} does not follow everywhere: {_list(off)}. Look for constraints, drivers or locks on it."
        )
    if bent and held:
        told.append(f"Standing feet that stay in place bend the legs of {target.name}: {_list(bent)}.")
    return told


def _list(deviations: Sequence[Deviation]) -> str:
    parts = [f"{one.bone} is up to {one.degrees:.0f}° off (frame {one.frame:.0f})" for one in deviations[:_NAMED]]
    more = len(deviations) - _NAMED
    return ", ".join(parts) + (f", and {more} more" if more > 0 else "")
