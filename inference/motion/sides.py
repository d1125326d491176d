"""Overrules the detector where it takes left for right."""

from __future__ import annotations

import numpy as np

from ..body.skeleton import LANDMARK_MIRROR
from .fit import Evidence, solve_translation

_MIRROR = np.array(LANDMARK_MIRROR)
_HEAD, _ARMS, _LEGS = np.arange(1, 11), np.arange(11, 23), np.arange(23, 33)
# Seconds over which frames must agree, and by how much the other way round must fit better.
_AGREEMENT_SECONDS, _MARGIN = 0.15, 6.0
# Squared distances beyond this, in standard deviations, count little more.
_ROBUST = 12.0


def exchanged_landmarks(evidence: Evidence, points: np.ndarray, sigma: np.ndarray, period: float) -> np.ndarray:
    """(n, 33) landmarks that lie where those of the other side should, by an estimate that saw the frames around.

    Head, arms and legs are judged apart, each over several frames.

    Args:
        evidence: of one person.
        points: (n, 33, 3) landmarks of an estimated body, camera axes, from its pelvis, metres.
        sigma: (n, 33) their standard deviation across the line of sight, metres.
        period: seconds between frames.
    """
    placed = points + solve_translation(evidence, points)[:, None]
    focal = evidence.camera_K[[0, 1], [0, 1]]
    depth = np.maximum(placed[..., 2:], 0.2)
    expected = placed[..., :2] / depth * focal + evidence.camera_K[:2, 2]
    unsure = sigma / depth[..., 0] * focal[0]

    def misfit(order: np.ndarray) -> np.ndarray:
        apart = np.square(evidence.pixels[:, order] - expected).sum(-1)
        squared = apart / (evidence.pixel_sigma[:, order] ** 2 + unsure**2)
        return squared / (1 + squared / _ROBUST)

    gain = misfit(np.arange(33)) - misfit(_MIRROR)
    frames = 2 * round(_AGREEMENT_SECONDS / period / 2) + 1
    window = np.ones(frames) / frames
    result = np.zeros(gain.shape, bool)
    for part in (_HEAD, _ARMS, _LEGS):
        padded = np.pad(gain[:, part].sum(1), frames // 2, mode="edge")
        result[:, part] = (np.convolve(padded, window, "valid") > _MARGIN)[:, None]
    return result


def exchange(evidence: Evidence, where: np.ndarray) -> None:
    """Give landmarks (n, 33) of the evidence to the other side, in place."""
    for name in ("pixels", "pixel_sigma"):
        values = getattr(evidence, name)
        values[where] = values[:, _MIRROR][where]
