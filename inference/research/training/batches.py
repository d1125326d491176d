"""Batches of training: from sequences with their truth, and what the detector saw of them, to networks' inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ...camera.tracking import homographies_from_rotations
from ...pose import features
from ..networks.settings import Settings
from . import imagined
from .imagined import Severity
from .staging import Stage


@dataclass
class Batch:
    """Windows and the truth of their target frames, in crop axes.

    Attributes:
        inputs: the network's inputs by name, as `networks.inputs` describes them, a row for each window; of `pictures`
            one for each that windows share.
        box: (B, 3) box information of target frames with the focal length that the network is given.
        true_box: (B, 3) with the true one.
        rotations: (B, 24, 3, 3) true local rotations.
        betas: (B, 10).
        pelvis: (B, 3) true positions, metres.
        weights: (B,) how much each target counts.
    """

    inputs: dict[str, np.ndarray]
    box: np.ndarray
    true_box: np.ndarray
    rotations: np.ndarray
    betas: np.ndarray
    pelvis: np.ndarray
    weights: np.ndarray

    def rows(self, windows: slice | np.ndarray, targets: slice | np.ndarray) -> Batch:
        """Some of the windows, and some of the targets: several belong to one window where each frame is one."""
        inputs = {name: values[windows] for name, values in self.inputs.items() if name != "pictures"}
        if "pictures" in self.inputs:
            rows = inputs["picture_rows"]
            used, at = np.unique(rows, return_inverse=True)
            inputs |= {"pictures": self.inputs["pictures"][used], "picture_rows": at.reshape(rows.shape)}
        return Batch(inputs, *(getattr(self, item.name)[targets] for item in fields(self)[1:]))


@dataclass(frozen=True)
class Sampling:
    """How training data are sampled.

    Attributes:
        assumed_focal: share of sequences for which the network is given the focal length √(W² + H²), not the true one.
        targets: windows of each sequence.
        filmed: share of sequences that were rendered and seen by the detector, if there are any.
        transferred: share of the others with the errors of rendered ones in similar poses, if there are any.
        severity: of imagined errors in the rest.
    """

    assumed_focal: float = 0.5
    targets: int = 8
    filmed: float = 0.2
    transferred: float = 0.4
    severity: Severity = field(default_factory=Severity)


@dataclass
class Observed:
    """B sequences of T frames as the detector saw them.

    Attributes:
        stage: their truth.
        detected: (B, T, ...) its output by `features.DETECTOR_FIELDS`, and `known`, false where a frame without a
            detection repeats another one.
        maps: (B, T, 3) where to find local maps and pictures, None if there are none.
        regions: (B, T, R, ...) its output in R regions of interest; None if it did not look there.
    """

    stage: Stage
    detected: Mapping[str, np.ndarray]
    maps: np.ndarray | None = None
    regions: Mapping[str, np.ndarray] | None = None


def sequence_batch(observed: Observed, assumed: np.ndarray) -> Batch:
    """The lifter's: a row of the inputs for each of B sequences, a target for each of their B T frames.

    Args:
        observed: the sequences.
        assumed: (B,) whether the network is given the focal length √(W² + H²) in place of the true one.
    """
    stage, detected = observed.stage, observed.detected
    count, frames = stage.pelvis.shape[:2]
    given_K = given_intrinsics(stage, assumed)[:, None].repeat(frames, axis=1)
    true_K = stage.camera_K[:, None].repeat(frames, axis=1)
    crops = detected["crops"]
    axes = features.crop_axes(crops, true_K)
    local = stage.local.copy()
    local[:, :, 0] = axes @ local[:, :, 0]
    period = np.broadcast_to(1 / stage.rate[:, None], (count, frames))

    def in_crop_axes(vectors: np.ndarray) -> np.ndarray:
        return np.einsum("btij,btj->bti", axes, vectors)

    def rows(values: np.ndarray) -> np.ndarray:
        return values.reshape(count * frames, *values.shape[2:]).astype(np.float32)

    return Batch(
        inputs={
            "frames": features.frame_features(**detected, period=period, camera_K=given_K),
            "gravity": in_crop_axes(stage.gravity).astype(np.float32),
            "contacts": stage.contacts.astype(np.float32),
            "contacts_known": np.repeat(stage.contacts_known[:, None], frames, axis=1).astype(np.float32),
        },
        box=rows(features.box_info(crops, given_K)),
        true_box=rows(features.box_info(crops, true_K)),
        rotations=rows(local),
        betas=np.repeat(stage.betas, frames, axis=0).astype(np.float32),
        pelvis=rows(in_crop_axes(stage.pelvis)),
        weights=rows(detected["known"]),
    )


def given_intrinsics(stage: Stage, assumed: np.ndarray) -> np.ndarray:
    """(B, 3, 3) intrinsics that networks are given, with the usual focal length where `assumed` (B,)."""
    given_K = stage.camera_K.copy()
    given_K[assumed, 0, 0] = given_K[assumed, 1, 1] = np.hypot(*stage.size[assumed].T)
    return given_K


def window_batch(
    observed: Observed,
    sequences: Batch,
    lifted: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
    assumed: np.ndarray,
    settings: Settings,
    needs: Sequence[str],
    severity: Severity,
    rng: np.random.Generator,
    targets: int = 1,
) -> Batch:
    """Windows around some frames of sequences.

    Args:
        observed: B sequences of T frames.
        sequences: their `sequence_batch`.
        lifted: (B, T, C) the lifter's features of them, C = 0 for a network that does not see them.
        place: (N,) sequences and (N,) frames that are targets.
        assumed: as for `sequence_batch`.
        settings: of the network.
        needs: names of its inputs, but for local maps and pictures.
        severity: of imagined errors in regions of interest where the detector did not look.
        rng: for those.
        targets: how many frames of each window are targets, the last of them that of `place`.
    """
    sequence, target = place
    frames = observed.stage.pelvis.shape[1]
    wanted = target[:, None] + np.arange(settings.frames) - settings.target
    inside = np.clip(wanted, 0, frames - 1)
    at = (sequence[:, None], inside)
    described = np.concatenate([sequences.inputs["frames"], lifted], axis=-1)
    last = settings.target + 1
    some = slice(last - targets, last)
    batch = sequences.rows(slice(0, 0), (sequence[:, None] * frames + inside[:, some]).ravel())
    batch.weights *= (wanted == inside)[:, some].ravel()
    inputs: dict[str, np.ndarray] = {"box": batch.box}
    if "frames" in needs:
        inputs["frames"] = described[at]
        inputs["frames"][..., features.KNOWN] *= wanted == inside
    crops = observed.detected["crops"][place]
    if "flow" in needs:
        flows = _flows(observed.stage, sequence, target)
        imagined.disturb_flow(flows, rng)
        inputs["flow"] = features.flow_features(flows, crops)
    if "regions" in needs:
        inputs |= _regions(observed, place, described[place], assumed, settings, severity, rng)
    batch.inputs = inputs
    return batch


def _flows(stage: Stage, sequence: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, 15, 3, 3) homographies of the background up to targets.

    A rendered background is a distant painting, so that the camera's rotations give them exactly. Before the sequence
    begins the camera is taken to be still.
    """
    rows = target[:, None] + np.arange(features.FLOW_STEPS + 1) - features.FLOW_STEPS
    turns = stage.camera_turns[sequence[:, None], np.maximum(rows, 0)].astype(float)
    focal = np.repeat(
        (stage.camera_K[sequence, 0, 0] / np.hypot(*stage.size[sequence].T))[:, None], features.FLOW_STEPS, axis=1
    )
    return homographies_from_rotations(turns[:, :-1], turns[:, 1:], focal)


def _regions(
    observed: Observed,
    place: tuple[np.ndarray, np.ndarray],
    described: np.ndarray,
    assumed: np.ndarray,
    settings: Any,
    severity: Severity,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    stage, sequence = observed.stage, place[0]
    if observed.regions is None:
        frame = {name: observed.detected[name][place] for name in features.DETECTOR_FIELDS}
        seen = imagined.regions(frame, severity, rng)
    else:
        seen = {name: observed.regions[name][place] for name in features.DETECTOR_FIELDS}
    seen = {name: values[:, : settings.regions] for name, values in seen.items()}
    regions, boxes = features.region_features(
        seen, 1 / stage.rate[sequence], given_intrinsics(stage, assumed)[sequence]
    )
    of_frame = np.repeat(described[:, None, features.SIZE :], settings.regions, axis=1)
    return {
        "regions": np.concatenate([regions, of_frame], axis=-1),
        "region_boxes": boxes.astype(np.float32),
        "places": features.encode_boxes(boxes, settings.octaves),
    }
