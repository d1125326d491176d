"""Measures of a network on held-out motions, and of BlazePose's own world landmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from ...body.smpl import Body
from ...pose import features
from ..evaluation import metrics
from .batches import Batch, Observed, Sampling, given_intrinsics, sequence_batch
from .sequences import FilmedFootage, Footage, WindowSource

Estimator = Callable[[Batch], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From a batch to local rotations (B, 24, 3, 3) of its targets in crop axes, betas (B, 10), and crop cameras (B, 3)."""

_SURFACE_EVERY = 8
# Of staged footage so many sequences are measured, always the same.
_STAGED, _SEED = 96, 4
_AT_ONCE = 8


class Check(Protocol):
    """What a training is measured on."""

    def baseline(self) -> dict[str, float]:
        """The measures of BlazePose's world landmarks."""
        ...

    def measure(self, estimate: Estimator, sequences: int | None) -> dict[str, float]:
        """The measures of an estimator on so many sequences; None for all."""
        ...


class SequenceCheck:
    """Measures on sequences of held-out motions: rendered ones if there are any, else staged ones.

    Joints are the 12 limb joints from the midpoint of the hips, as in `evaluate`; millimetres, and mm/frame² for Accel.
    Reprojection is the distance of these joints in the image, % of the crop's side, where the network was given the
    focal length √(W² + H²). Frames without a detection are left out. PVE is measured on every eighth frame.

    Args:
        footage: of the validation split.
        body: that performs.
        frames: of the lifter's windows.
        windows: makes a network's windows of them; None for the lifter itself.
    """

    def __init__(self, footage: Footage, body: Body, frames: int, windows: WindowSource | None = None):
        self.body, self.frames, self.windows = body, frames, windows
        if isinstance(footage, FilmedFootage):
            numbers = np.arange(len(footage))
            self._observed = footage.take(numbers, 0 * numbers, frames, numbers < 0)
        else:
            self._observed = footage.draw(_STAGED, frames, Sampling(), np.random.default_rng(_SEED))

    def baseline(self) -> dict[str, float]:
        """See `Check`."""
        observed = self._observed
        known = observed.detected["known"]
        world = observed.detected["world_landmarks"][known][:, metrics.LIMB_LANDMARKS]
        return metrics.scores(world, self._true_joints(observed, known), _frame_numbers(known))

    def measure(self, estimate: Estimator, sequences: int | None) -> dict[str, float]:
        """See `Check`."""
        count = len(self._observed.stage.betas)
        chosen = np.linspace(0, count - 1, min(sequences or count, count)).astype(int)
        limbs, true, frames, surface, reprojection = [], [], [], [], []
        for start in range(0, len(chosen), _AT_ONCE):
            observed = _some(self._observed, chosen[start : start + _AT_ONCE])
            known = observed.detected["known"]
            local, betas, camera = (part[known] for part in self._estimates(estimate, observed))
            reprojection.append(self._reprojection(local, betas, camera, observed, known))
            K = np.repeat(observed.stage.camera_K[:, None], self.frames, axis=1)[known]
            # In the camera's own axes, to compare frames of different crops.
            local, _ = features.to_camera(local, np.zeros((len(local), 3)), observed.detected["crops"][known], K)
            limbs.append(self.body.joints(local, betas.astype(float))[:, metrics.LIMB_JOINTS])
            true.append(self._true_joints(observed, known))
            frames.append(_frame_numbers(known) + 2 * start * self.frames)
            surface.append(self._surface_error(local, betas, observed, known))
        measures = metrics.scores(np.concatenate(limbs), np.concatenate(true), np.concatenate(frames))
        return {
            **measures,
            "PVE": float(np.mean(surface)),
            "reprojection": 100 * float(np.mean(np.concatenate(reprojection))),
        }

    def _estimates(self, estimate: Estimator, observed: Observed) -> Iterator[np.ndarray]:
        """As an `Estimator`, of B sequences of T frames: (B, T, 24, 3, 3), (B, T, 10), (B, T, 3)."""
        shape = observed.detected["known"].shape
        assumed = np.ones(shape[0], bool)
        if self.windows is None:
            return (part.reshape(*shape, *part.shape[1:]) for part in estimate(sequence_batch(observed, assumed)))
        place = tuple(index.ravel() for index in np.indices(shape))
        batch = self.windows.windows(
            observed, (place[0], place[1]), np.zeros(shape[0]), Sampling(), np.random.default_rng(_SEED)
        )
        return (part.reshape(*shape, *part.shape[1:]) for part in estimate(batch))

    def _true_joints(self, observed: Observed, known: np.ndarray) -> np.ndarray:
        return self.body.joints(*_truth(observed, known))[:, metrics.LIMB_JOINTS]

    def _reprojection(
        self, local: np.ndarray, betas: np.ndarray, camera: np.ndarray, observed: Observed, known: np.ndarray
    ) -> np.ndarray:
        """(N,) mean distance in the image between estimated and true limb joints of known frames, in crop sides.

        Args: as of `_estimates`, N known frames of them.
        """
        stage, crops = observed.stage, observed.detected["crops"][known]
        given_K, true_K = (
            np.repeat(K[:, None], self.frames, axis=1)[known]
            for K in (given_intrinsics(stage, np.ones(len(stage.betas), bool)), stage.camera_K)
        )

        def in_crop(joints: np.ndarray, pelvis: np.ndarray, K: np.ndarray) -> np.ndarray:
            placed = (joints - joints[:, :1])[:, metrics.LIMB_JOINTS] + pelvis[:, None]
            return placed[..., :2] / placed[..., 2:] / features.crop_size(crops, K)[:, None, None]

        pelvis = features.full_translation(camera, features.box_info(crops, given_K))
        seen = in_crop(self.body.joints(local, betas.astype(float)), pelvis, given_K)
        turned = features.crop_axes(crops, true_K)
        true_local, true_betas = _truth(observed, known)
        true_local[:, 0] = turned @ true_local[:, 0]
        true_pelvis = np.einsum("nij,nj->ni", turned, stage.pelvis[known].astype(float))
        true = in_crop(self.body.joints(true_local, true_betas), true_pelvis, true_K)
        return np.linalg.norm(seen - true, axis=-1).mean(axis=1)

    def _surface_error(self, local: np.ndarray, betas: np.ndarray, observed: Observed, known: np.ndarray) -> float:
        some = slice(None, None, _SURFACE_EVERY)
        true_local, true_betas = (part[some] for part in _truth(observed, known))
        vertices = self.body.vertices(local[some], betas[some].astype(float))
        true = self.body.vertices(true_local, true_betas)
        roots = (self.body.joints(local[some], betas[some])[:, 0], self.body.joints(true_local, true_betas)[:, 0])
        return metrics.pve(vertices, true, *roots)


def _truth(observed: Observed, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True local rotations (N, 24, 3, 3), the root's in camera axes, and betas (N, 10) of known frames."""
    betas = np.repeat(observed.stage.betas[:, None], known.shape[1], axis=1)[known]
    return observed.stage.local[known].astype(float), betas.astype(float)


def _some(observed: Observed, rows: np.ndarray) -> Observed:
    """Some of the sequences."""
    stage = type(observed.stage)(**{name: values[rows] for name, values in vars(observed.stage).items()})
    detected = {name: values[rows] for name, values in observed.detected.items()}
    regions = None if observed.regions is None else {name: part[rows] for name, part in observed.regions.items()}
    return Observed(stage, detected, None if observed.maps is None else observed.maps[rows], regions)


def _frame_numbers(known: np.ndarray) -> np.ndarray:
    """Numbers of the known frames of sequences (B, T), with gaps between these: no acceleration is measured there."""
    sequence, frame = np.nonzero(known)
    return sequence * 2 * known.shape[1] + frame
