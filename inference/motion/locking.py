"""Standing feet that don't move at all."""

from __future__ import annotations

import numpy as np

from .. import spill
from ..body import rotations
from ..body.skeleton import JOINT_NAMES
from . import legs

_LEGS = np.array(
    [[JOINT_NAMES.index(f"{side}_{joint}") for joint in ("hip", "knee", "ankle")] for side in ("left", "right")]
)
LOCKED = (0, *_LEGS.ravel().tolist())
"""The joints whose rotations `lock_feet` needs: the pelvis, then each leg's."""

_BALLS = [JOINT_NAMES.index(f"{side}_foot") for side in ("left", "right")]
# Seconds over which the hips' displacement is smoothed as they follow the feet, which jitter seen by one camera.
_HIP_SMOOTHING = 0.8
# Cost of moving the hips along the line of sight, which one camera barely observes, and across it.
_HIP_COST_ALONG, _HIP_COST_ACROSS = 0.05, 50.0
# How far hips come down, as a share of the leg's length: the picture shows how high they are.
_LOWEST = 0.02


def lock_feet(
    global_rotations: np.ndarray,
    joints: np.ndarray,
    heels: np.ndarray,
    eyes: np.ndarray,
    stands: np.ndarray,
    times: np.ndarray,
    share: float | np.ndarray = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Bend legs so that heels and balls of the feet stay still while they stand, and flat feet don't turn.

    Args:
        global_rotations: (n, 7, 3, 3) of the joints `LOCKED` in the world, whose z points up.
        joints: (n, 24, 3) metres.
        heels: (n, 2, 3) left and right.
        eyes: (n, 3) the camera's positions, from which depth is least certain.
        stands: (n, 4) which of `contacts.SOLE_LANDMARKS` stand.
        times: (n,) seconds.
        share: part of the correction that is applied, 0 to 1; (n,) where it changes.

    Returns:
        Local rotations of the legs, (n, 2, 3, 3, 3) for left and right hip, knee and ankle, and the displacement of
        the hips (n, 3).
    """
    heel_spans, ball_spans, flat_spans = (
        legs.contact_spans(some, times) for some in (stands[:, :2], stands[:, 2:], stands[:, :2] & stands[:, 2:])
    )
    pelvis, bones = global_rotations[:, :1], global_rotations[:, 1:].reshape(-1, 2, 3, 3, 3)
    thighs, shins, feet = np.moveaxis(bones, 2, 0)

    def parts(window: slice) -> tuple[np.ndarray, ...]:
        sight = joints[window, 0] - eyes[window]
        return (
            joints[window][:, _BALLS],
            joints[window][:, _LEGS],
            feet[window],
            thighs[window, ..., 2],
            _hip_cost(sight),
        )

    balls, bends, feet, front, hip_cost = spill.collect(len(times), parts)
    ankles = bends[:, :, 2]
    share = np.reshape(share, (-1, 1, 1))
    levelled = share * legs.level(feet, flat_spans, times)
    (turns,) = spill.collect(len(times), lambda window: (rotations.axis_angle_to_matrix(levelled[window]),))
    turned_ankles, turned_heels = (balls + np.einsum("nfij,nfj->nfi", turns, part - balls) for part in (ankles, heels))
    displacements = share * legs.corrections(balls, ball_spans, times, turned_heels, heel_spans)
    correction = legs.move_ankles(
        bends,
        displacements + turned_ankles - ankles,
        ball_spans,
        times,
        front,
        _HIP_SMOOTHING,
        hip_cost,
        _LOWEST,
    )

    def local(window: slice) -> tuple[np.ndarray]:
        bent = correction.thighs[window] @ thighs[window], correction.shins[window] @ shins[window]
        turned = np.stack([*bent, turns[window] @ feet[window]], axis=2)
        above = np.concatenate([np.repeat(pelvis[window, None], 2, axis=1), turned[:, :, :2]], axis=2)
        return (np.swapaxes(above, -1, -2) @ turned,)

    return spill.collect(len(times), local)[0], correction.hips


def _hip_cost(sight: np.ndarray) -> np.ndarray:
    """(n, 3, 3) what moving the hips costs that are seen in directions (n, 3)."""
    sight = sight / np.linalg.norm(sight, axis=1, keepdims=True)
    along = sight[:, :, None] * sight[:, None]
    return _HIP_COST_ALONG * along + _HIP_COST_ACROSS * (np.eye(3) - along)


def with_legs(local: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Local rotations (n, 24, 3, 3) with the legs' from `lock_feet`."""
    result = local.copy()
    result[:, _LEGS] = changed
    return result
