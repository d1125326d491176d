"""Windows of training data: sampled, mirrored, augmented, and turned into the networks' inputs.

A data set is a folder with shards (see `shards`) in `train` and `validation`; other data can be used in that format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...body import rotations
from ...body.skeleton import JOINT_MIRROR, LANDMARK_MIRROR
from ...body.smpl import Body
from ...camera.tracking import homographies_from_rotations
from ...people import maps
from ...pose import features
from ..evaluation.metrics import LIMB_LANDMARKS
from ..networks.settings import Settings
from ..networks.torch_body import matrix_to_sixd, to_global
from .noise import BLANK, Noise, augment, augment_flow
from .shards import Shard, ShardError, read_shard, transferred_shards

_MIRROR = list(LANDMARK_MIRROR)
# After the 33 landmarks come the hip centre, the rim and others without sides, and the segmentation mask.
_MAP_MIRROR = [*LANDMARK_MIRROR, *range(33, maps.COUNT)]
_UNCHANGED = np.arange(maps.COUNT)
_FLIP = np.array([-1.0, 1.0, 1.0])
# The detector's mean error, in crop sides, at which a frame counts half.
_HALF_WEIGHT_ERROR = 0.05


@dataclass
class Batch:
    """B windows and the truth of their target frames, in cameras rolled with the crops.

    Attributes:
        inputs: the network's inputs by name, as `networks.inputs` describes them.
        box: (B, 3) box information with the focal length that the network is given.
        true_box: (B, 3) with the true one.
        rotations: (B, 24, 3, 3) true local rotations.
        betas: (B, 10).
        pelvis: (B, 3) true positions, metres.
        weights: (B,) how much each window counts.
        rows: (B,) rows of the target frames in the data set.
    """

    inputs: dict[str, np.ndarray]
    box: np.ndarray
    true_box: np.ndarray
    rotations: np.ndarray
    betas: np.ndarray
    pelvis: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class WindowSampling:
    """How windows are sampled for training.

    Attributes:
        still: share of windows that repeat their target frame, as from a photograph.
        strides: steps between frames, each as likely.
        mirrored: share of windows that are mirrored.
        transferred: share of windows from sequences with transferred errors, if there are any.
        assumed_focal: share of windows for which the network is given the focal length √(W² + H²), not the true one.
        noise: detector errors on top of the real ones.
    """

    still: float = 0.12
    strides: tuple[int, ...] = (1, 1, 2)
    mirrored: float = 0.5
    transferred: float = 0.5
    assumed_focal: float = 0.5
    noise: Noise = field(default_factory=Noise)


class Dataset:
    """The shards of one split.

    Args:
        folder: of the data set.
        split: `train` or `validation`.
        body: the body that the truth was made with.
        settings: of the network that is trained.
        needs: names of its inputs.

    Raises:
        ShardError: there are none, one can't be read, or they lack something needed.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        body: Body,
        settings: Settings,
        needs: Sequence[str],
    ):
        filmed = sorted((folder / split).glob("*.npz"))
        if not filmed:
            raise ShardError(
                f"There is no training data in {folder / split}: make some with `video-motion train data`."
            )
        # Transferred errors come without local maps: networks that need those train on filmed people only.
        transferred = transferred_shards(folder) if split == "train" and "maps" not in needs else []
        paths = filmed + transferred
        self.folder, self.split, self.shard_count = folder, split, len(paths)
        self.settings, self.needs = settings, tuple(needs)
        self.frames, self.target = settings.frames, settings.target
        shards_read = [read_shard(path) for path in paths]
        lengths = [len(shard) for shard in shards_read]

        def joined(key: str) -> np.ndarray:
            return np.concatenate([getattr(shard, key) for shard in shards_read])

        self._shard = np.repeat(np.arange(len(lengths)), lengths)
        self._row = np.concatenate([np.arange(length) for length in lengths])
        # Shards are not kept: only their packed maps, which stay in the files, are read later.
        self._packed = [(shard.heatmaps, shard.heatmap_starts) for shard in shards_read]
        self.usable = self.found = joined("found")
        if "maps" in needs:
            self.usable = self.found & joined("has_maps")
            if not self.usable.any():
                raise ShardError(f"The training data in {folder / split} has no local maps: make some with them.")
        self._camera_rotations = joined("camera_turns")
        self._roi_views: dict[str, np.ndarray] = {}
        if "regions" in needs:
            self._add_roi_views(shards_read)
        self._seen = {key: joined(key) for key in features.DETECTOR_FIELDS}
        self._poses = joined("poses")
        firsts = np.cumsum([0, *lengths])[:-1]
        spans = [
            np.stack([shard.sequence_starts[:-1], shard.sequence_starts[1:]], 1) + first
            for shard, first in zip(shards_read, firsts, strict=True)
        ]
        self.sequences = np.concatenate(spans)
        self.sequence = np.repeat(np.arange(len(self.sequences)), np.diff(self.sequences, axis=1)[:, 0])
        self._betas, self._K, self._size, self._frame_rate = (
            joined(key) for key in ("betas", "camera_K", "image_size", "frame_rate")
        )
        rest = body.rest_joints(self._betas.astype(float))[:, 0]
        self._pelvis = joined("trans") + rest[self.sequence]
        self.weights = self._weights(body)
        usable = np.flatnonzero(self.usable)
        self._filmed, self._transferred = np.split(usable, [np.searchsorted(usable, sum(lengths[: len(filmed)]))])

    def __len__(self) -> int:
        return len(self.found)

    def _add_roi_views(self, shards: list[Shard]) -> None:
        if not all(len(shard.looked) for shard in shards):
            raise ShardError(
                f"The training data in {self.folder} has one region of interest per person:"
                " make some with `train data --roi-views`."
            )
        self.usable = self.usable & np.concatenate([shard.looked for shard in shards])
        for key in features.DETECTOR_FIELDS:
            crops = np.concatenate([getattr(shard, key) for shard in shards])
            others = np.concatenate([getattr(shard, f"look_{key}") for shard in shards])
            self._roi_views[key] = np.concatenate([crops[:, None], others], axis=1)

    def _weights(self, body: Body) -> np.ndarray:
        """(N,) lower for frames with large detector errors: they would teach networks to ignore good landmarks."""
        weights = np.zeros(len(self))
        for start in range(0, len(self), 4096):
            rows = np.arange(start, min(start + 4096, len(self)))
            sequences = self.sequence[rows]
            trans = self._pelvis[rows] - body.rest_joints(self._betas[sequences].astype(float))[:, 0]
            marks = body.landmark_positions(
                self._poses[rows].astype(float), self._betas[sequences].astype(float), trans
            )
            K = self._K[sequences]
            pixels = marks[..., :2] / np.maximum(marks[..., 2:], 0.1) * K[:, None, [0], [0]] + K[:, None, :2, 2]
            errors = np.linalg.norm(pixels - self._seen["landmarks"][rows], axis=-1)[:, LIMB_LANDMARKS]
            side = np.where(self.found[rows], self._seen["crops"][rows, 2], 1)
            mean_error = np.minimum(errors / side[:, None], 0.5).mean(1)
            weights[rows] = self.found[rows] / (1 + (mean_error / _HALF_WEIGHT_ERROR) ** 2)
        return weights

    def draw(self, count: int, sampling: WindowSampling, rng: np.random.Generator) -> Batch:
        """Random windows for training."""
        targets = rng.choice(self._filmed, count)
        if len(self._transferred):
            others = rng.random(count) < sampling.transferred
            targets[others] = rng.choice(self._transferred, int(others.sum()))
        stride = rng.choice(sampling.strides, count)
        stride[rng.random(count) < sampling.still] = 0
        window, flows = self._window(targets, stride), self._flows(targets, stride)
        assumed = rng.random(count) < sampling.assumed_focal
        mirrored = rng.random(count) < sampling.mirrored
        augment(window, sampling.noise, rng, self.target)
        regions = self._regions(targets)
        if regions is not None:
            augment(regions, sampling.noise, rng, 0)
        if flows is not None:
            augment_flow(flows, sampling.noise, rng)
        return self._batch(targets, window, regions, flows, assumed, mirrored)

    def at(self, targets: np.ndarray, stride: int = 1) -> Batch:
        """The windows of target rows (B,), as in use: not augmented."""
        strides = np.full(len(targets), stride)
        all_rows = np.ones(len(targets), bool)
        views = self._window(targets, strides), self._regions(targets), self._flows(targets, strides)
        return self._batch(targets, *views, all_rows, ~all_rows)

    def truth(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """True poses (B, 24, 3), the root's in camera axes, and betas (B, 10) of rows (B,)."""
        return self._poses[rows].astype(float), self._betas[self.sequence[rows]].astype(float)

    def _window(self, targets: np.ndarray, stride: np.ndarray) -> dict[str, np.ndarray]:
        """The input of `augment`. Frames outside a sequence repeat its edge; stride 0 repeats the target."""
        span = self.sequences[self.sequence[targets]]
        steps = np.arange(self.frames) - self.target
        wanted = targets[:, None] + stride[:, None] * steps
        inside = np.clip(wanted, span[:, :1], span[:, 1:] - 1)
        rows = self._nearest_found(inside, targets)
        window: dict[str, np.ndarray] = {
            key: self._seen[key][rows].astype(np.float64) for key in features.DETECTOR_FIELDS
        }
        window["known"] = (rows == wanted) | (stride == 0)[:, None]
        # A still picture counts as video at 30 frames per second.
        rate = self._frame_rate[self.sequence[targets]]
        window["offsets"] = np.where(stride > 0, stride / rate, 1 / 30)[:, None] * steps
        window["rows"] = rows
        window["channels"] = np.tile(_UNCHANGED, (*rows.shape, 1))
        window["cells"] = np.zeros((*rows.shape, 2), int)
        return window

    def _regions(self, rows: np.ndarray) -> dict[str, np.ndarray] | None:
        """The input of `augment` for rows (B,), with R regions of interest in place of frames; None if not needed."""
        if not self._roi_views:
            return None
        regions: dict[str, np.ndarray] = {
            key: values[rows].astype(np.float64) for key, values in self._roi_views.items()
        }
        shape = regions["scores"].shape
        regions["known"] = np.ones(shape, bool)
        regions["rows"] = np.tile(np.arange(shape[1]), (shape[0], 1))
        regions["channels"] = np.tile(_UNCHANGED, (*shape, 1))
        regions["cells"] = np.zeros((*shape, 2), int)
        return regions

    def _flows(self, targets: np.ndarray, stride: np.ndarray) -> np.ndarray | None:
        """(B, 15, 3, 3) homographies of the background for `features.flow_features`; None if not needed.

        A rendered background is a distant painting, so that the camera's rotations give them exactly.
        """
        if "flow" not in self.needs:
            return None
        sequences = self.sequence[targets]
        first = self.sequences[sequences, :1]
        rows = targets[:, None] + stride[:, None] * (np.arange(features.FLOW_STEPS + 1) - features.FLOW_STEPS)
        # Before the sequence begins the camera is taken to be still.
        camera_rotations = self._camera_rotations[np.maximum(rows, first)].astype(float)
        focal = np.repeat(
            (self._K[sequences, 0, 0] / np.hypot(*self._size[sequences].T))[:, None], features.FLOW_STEPS, axis=1
        )
        return homographies_from_rotations(camera_rotations[:, :-1], camera_rotations[:, 1:], focal)

    def _nearest_found(self, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Rows (B, T), each replaced by the next one towards the target in which the person was detected."""
        rows = rows.copy()
        towards = np.sign(targets[:, None] - rows)
        for _ in range(int(np.abs(targets[:, None] - rows).max(initial=0))):
            lost = ~self.found[rows]
            if not lost.any():
                break
            rows[lost] += towards[lost]
        return rows

    def _batch(
        self,
        targets: np.ndarray,
        window: dict[str, np.ndarray],
        regions: dict[str, np.ndarray] | None,
        flows: np.ndarray | None,
        assumed: np.ndarray,
        mirrored: np.ndarray,
    ) -> Batch:
        sequences = self.sequence[targets]
        size, true_K = self._size[sequences], self._K[sequences]
        true_K[mirrored, 0, 2] = size[mirrored, 0] - true_K[mirrored, 0, 2]
        given_K = true_K.copy()
        diagonal = np.hypot(*size.T)
        given_K[assumed, 0, 0] = given_K[assumed, 1, 1] = diagonal[assumed]
        local = rotations.axis_angle_to_matrix(self._poses[targets].astype(float))
        pelvis = self._pelvis[targets].copy()
        mirror_window(window, size[:, 0], mirrored)
        local[mirrored] = (_FLIP[:, None] * _FLIP * local[mirrored])[:, list(JOINT_MIRROR)]
        pelvis[mirrored, 0] *= -1
        if regions is not None:
            mirror_window(regions, size[:, 0], mirrored)
            # The first region is the crop that the others are placed around.
            window["crops"][:, self.target] = regions["crops"][:, 0]
        if flows is not None:
            flows[mirrored] = _FLIP[:, None] * _FLIP * flows[mirrored]
        crops = window["crops"][:, self.target]
        roll = features.roll(crops)
        local[:, 0] = roll @ local[:, 0]
        return Batch(
            inputs=self._inputs(window, regions, flows, given_K, mirrored) | self._motion(window, roll, mirrored),
            box=features.box_info(crops, given_K).astype(np.float32),
            true_box=features.box_info(crops, true_K).astype(np.float32),
            rotations=local.astype(np.float32),
            betas=self._betas[sequences].astype(np.float32),
            pelvis=np.einsum("bij,bj->bi", roll, pelvis).astype(np.float32),
            weights=self.weights[targets].astype(np.float32),
            rows=targets,
        )

    def _inputs(
        self,
        window: dict[str, np.ndarray],
        regions: dict[str, np.ndarray] | None,
        flows: np.ndarray | None,
        camera_K: np.ndarray,
        mirrored: np.ndarray,
    ) -> dict[str, np.ndarray]:
        crops = window["crops"][:, self.target]
        inputs = {"box": features.box_info(crops, camera_K).astype(np.float32)}
        if "frames" in self.needs:
            views = {key: window[key] for key in (*features.DETECTOR_FIELDS, "offsets", "known")}
            inputs["frames"] = features.window_features(**views, camera_K=camera_K, target=self.target)
        if "maps" in self.needs:
            inputs["maps"] = self._maps(window, mirrored)
        if flows is not None:
            inputs["flow"] = features.flow_features(flows, crops)
        if regions is not None:
            settings: Any = self.settings
            views = {key: regions[key][:, : settings.regions] for key in features.DETECTOR_FIELDS}
            inputs["regions"], boxes = features.region_features(views, camera_K)
            inputs["region_boxes"] = boxes.astype(np.float32)
            inputs["places"] = features.encode_boxes(boxes, settings.octaves)
        return inputs

    def _motion(self, window: dict[str, np.ndarray], roll: np.ndarray, mirrored: np.ndarray) -> dict[str, np.ndarray]:
        """The windows' true global rotations, in cameras rolled by `roll` (B, 3, 3), if needed."""
        if "motion" not in self.needs:
            return {}
        local = rotations.axis_angle_to_matrix(self._poses[window["rows"]].astype(float))
        local[mirrored] = (_FLIP[:, None] * _FLIP * local[mirrored])[:, :, list(JOINT_MIRROR)]
        local[:, :, 0] = roll[:, None] @ local[:, :, 0]
        global_rotations = to_global(torch.from_numpy(local.reshape(-1, 24, 3, 3)).float())
        return {"motion": matrix_to_sixd(global_rotations).unflatten(0, local.shape[:2]).numpy()}

    def _maps(self, window: dict[str, np.ndarray], mirrored: np.ndarray) -> np.ndarray:
        """(B, L, 40, size, size) local maps of the frames around the targets."""
        settings: Any = self.settings
        length, size = settings.local_window, settings.local_size
        first = self.target - length // 2
        rows, channels, cells = (window[key][:, first : first + length] for key in ("rows", "channels", "cells"))
        result = np.empty((*rows.shape, maps.COUNT, size, size), np.uint8)
        for number, flipped in enumerate(mirrored):
            for slot, row in enumerate(rows[number]):
                if slot and row == rows[number, slot - 1]:
                    result[number, slot] = result[number, slot - 1]
                    continue
                local = shrink(augment_maps(self._map(row), channels[number, slot], cells[number, slot]), size)
                result[number, slot] = local[..., ::-1] if flipped else local
        return result

    def _map(self, row: int) -> np.ndarray:
        packed, starts = self._packed[self._shard[row]]
        row = self._row[row]
        return maps.unpack(packed[starts[row] : starts[row + 1]].tobytes())

    def world_landmarks(self, rows: np.ndarray) -> np.ndarray:
        """(B, 33, 3) BlazePose's world landmarks of rows, camera axes, metres."""
        return self._seen["world_landmarks"][rows].astype(float)

    def crops(self, rows: np.ndarray) -> np.ndarray:
        """(B, 4) crops of rows."""
        return self._seen["crops"][rows].astype(float)


def augment_maps(full: np.ndarray, channels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Maps (40, 64, 64) read from other channels (40,), some blank, of a crop that has moved by whole cells (2,)."""
    if (channels != _UNCHANGED).any():
        full = full[channels]
        full[channels == BLANK] = 0
    if not cells.any():
        return full
    moved = np.zeros_like(full)
    x, y = cells
    height, width = full.shape[1:]
    to_y, to_x = slice(max(-y, 0), height - max(y, 0)), slice(max(-x, 0), width - max(x, 0))
    moved[:, to_y, to_x] = full[:, max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    return moved


def shrink(full: np.ndarray, size: int) -> np.ndarray:
    """Max-pool maps (40, 64, 64) to a smaller size."""
    factor = full.shape[1] // size
    rows = np.maximum.reduce([full[:, start::factor] for start in range(factor)])
    return np.maximum.reduce([rows[:, :, start::factor] for start in range(factor)])


def mirror_window(window: dict[str, np.ndarray], width: np.ndarray, mirrored: np.ndarray) -> None:
    """Mirror some (B,) of the windows, from images of widths (B,) in pixels; in place."""
    which = np.flatnonzero(mirrored)
    across = width[which, None].astype(float)
    for key in ("landmarks", "world_landmarks", "visibility", "presence"):
        window[key][which] = window[key][which][:, :, _MIRROR]
    window["channels"][which] = window["channels"][which][:, :, _MAP_MIRROR]
    window["landmarks"][which, ..., 0] = across[..., None] - window["landmarks"][which, ..., 0]
    window["world_landmarks"][which, ..., 0] *= -1
    window["crops"][which, :, 0] = across - window["crops"][which, :, 0]
    window["crops"][which, :, 3] *= -1
