"""Windows of training data: drawn at random, mirrored, spoiled, and brought into the networks' own form.

A data set is a folder with the shards of `evaluation.records` in `train` and `validation`; whoever holds other data
writes it in that form.
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
from .noise import BLANK, Noise, spoil, spoil_flow
from .shards import Shard, ShardError, read_shard

_MIRROR = list(LANDMARK_MIRROR)
# Beyond the 33 landmarks there are the hip centre, the rim and others without sides, and the outline.
_MAP_MIRROR = [*LANDMARK_MIRROR, *range(33, maps.COUNT)]
_UNCHANGED = np.arange(maps.COUNT)
_FLIP = np.array([-1.0, 1.0, 1.0])
# A detector's mean error, in crop sides, at which a frame counts half.
_DOUBT = 0.05


@dataclass
class Batch:
    """B windows and the truth of their middle frames, in cameras rolled with the crops.

    Attributes:
        inputs: what the network needs, by name, as `networks.inputs` describes it.
        box: (B, 3) box information with the focal length that the network is told.
        true_box: (B, 3) with the true one.
        rotations: (B, 24, 3, 3) true local rotations.
        betas: (B, 10).
        pelvis: (B, 3) metres.
        weights: (B,) how much each window counts.
        rows: (B,) rows of the middle frames in the data set.
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
    """How windows are drawn for training.

    Attributes:
        still: share of windows that repeat their middle frame, as a photograph would.
        strides: frames from one to the next, drawn evenly.
        mirrored: share of windows seen in a mirror.
        imitated: share of windows from imitated sequences, if there are any.
        assumed_focal: share of windows for which the network is told the focal length √(W² + H²), not the true one.
        noise: faults of the detector on top of its own.
    """

    still: float = 0.12
    strides: tuple[int, ...] = (1, 1, 2)
    mirrored: float = 0.5
    imitated: float = 0.5
    assumed_focal: float = 0.5
    noise: Noise = field(default_factory=Noise)


class Dataset:
    """The shards of one split.

    Args:
        folder: of the data set.
        split: `train` or `validation`.
        body: the body that the truth was made with.
        settings: of the network that learns from it.
        needs: names of its inputs.

    Raises:
        ShardError: there are none, or one can't be read, or they lack what is needed.
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
        # Local maps can't be imitated: who looks at them learns from filmed people alone.
        imitated = split == "train" and "maps" not in needs
        paths = filmed + (sorted((folder / "imitated").glob("*.npz")) if imitated else [])
        self.folder, self.split, self.shard_count = folder, split, len(paths)
        self.settings, self.needs = settings, tuple(needs)
        self.frames, self.target = settings.frames, settings.target
        shards_read = [read_shard(path) for path in paths]
        lengths = [len(shard) for shard in shards_read]

        def joined(key: str) -> np.ndarray:
            return np.concatenate([getattr(shard, key) for shard in shards_read])

        self._shard = np.repeat(np.arange(len(lengths)), lengths)
        self._row = np.concatenate([np.arange(length) for length in lengths])
        # Shards themselves are let go of: only their packed maps, which stay in the files, are asked for later.
        self._packed = [(shard.heatmaps, shard.heatmap_starts) for shard in shards_read]
        self.usable = self.found = joined("found")
        self._turns = joined("camera_turns")
        self._looked: dict[str, np.ndarray] = {}
        if "regions" in needs:
            self._add_looks(shards_read)
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
        self._filmed, self._imitated = np.split(usable, [np.searchsorted(usable, sum(lengths[: len(filmed)]))])

    def __len__(self) -> int:
        return len(self.found)

    def _add_looks(self, shards: list[Shard]) -> None:
        if not all(len(shard.looked) for shard in shards):
            raise ShardError(
                f"The training data in {self.folder} shows one region of people: make some with `train data --look`."
            )
        self.usable = self.found & np.concatenate([shard.looked for shard in shards])
        for key in features.DETECTOR_FIELDS:
            whole = np.concatenate([getattr(shard, key) for shard in shards])
            looks = np.concatenate([getattr(shard, f"look_{key}") for shard in shards])
            self._looked[key] = np.concatenate([whole[:, None], looks], axis=1)

    def _weights(self, body: Body) -> np.ndarray:
        """(N,) lower for frames on which the detector was lost: they would teach to mistrust it everywhere."""
        weights = np.zeros(len(self))
        for start in range(0, len(self), 4096):
            rows = np.arange(start, min(start + 4096, len(self)))
            of = self.sequence[rows]
            trans = self._pelvis[rows] - body.rest_joints(self._betas[of].astype(float))[:, 0]
            marks = body.landmark_positions(self._poses[rows].astype(float), self._betas[of].astype(float), trans)
            K = self._K[of]
            pixels = marks[..., :2] / np.maximum(marks[..., 2:], 0.1) * K[:, None, [0], [0]] + K[:, None, :2, 2]
            off = np.linalg.norm(pixels - self._seen["landmarks"][rows], axis=-1)[:, LIMB_LANDMARKS]
            side = np.where(self.found[rows], self._seen["crops"][rows, 2], 1)
            error = np.minimum(off / side[:, None], 0.5).mean(1)
            weights[rows] = self.found[rows] / (1 + (error / _DOUBT) ** 2)
        return weights

    def draw(self, count: int, drawing: WindowSampling, rng: np.random.Generator) -> Batch:
        """Random windows for training."""
        middles = rng.choice(self._filmed, count)
        if len(self._imitated):
            others = rng.random(count) < drawing.imitated
            middles[others] = rng.choice(self._imitated, int(others.sum()))
        stride = rng.choice(drawing.strides, count)
        stride[rng.random(count) < drawing.still] = 0
        window, flows = self._window(middles, stride), self._flows(middles, stride)
        assumed = rng.random(count) < drawing.assumed_focal
        mirrored = rng.random(count) < drawing.mirrored
        spoil(window, drawing.noise, rng, self.target)
        regions = self._regions(middles)
        if regions is not None:
            spoil(regions, drawing.noise, rng, 0)
        if flows is not None:
            spoil_flow(flows, drawing.noise, rng)
        return self._batch(middles, window, regions, flows, assumed, mirrored)

    def at(self, middles: np.ndarray, stride: int = 1) -> Batch:
        """The windows around rows (B,), as the product meets them."""
        strides = np.full(len(middles), stride)
        all_rows = np.ones(len(middles), bool)
        views = self._window(middles, strides), self._regions(middles), self._flows(middles, strides)
        return self._batch(middles, *views, all_rows, ~all_rows)

    def truth(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """True poses (B, 24, 3), the root's in camera axes, and betas (B, 10) of rows (B,)."""
        return self._poses[rows].astype(float), self._betas[self.sequence[rows]].astype(float)

    def _window(self, middles: np.ndarray, stride: np.ndarray) -> dict[str, np.ndarray]:
        """What `spoil` takes. Frames outside a sequence repeat its edge; stride 0 repeats the middle one."""
        span = self.sequences[self.sequence[middles]]
        steps = np.arange(self.frames) - self.target
        wanted = middles[:, None] + stride[:, None] * steps
        inside = np.clip(wanted, span[:, :1], span[:, 1:] - 1)
        rows = self._nearest_found(inside, middles)
        window: dict[str, np.ndarray] = {
            key: self._seen[key][rows].astype(np.float64) for key in features.DETECTOR_FIELDS
        }
        window["known"] = (rows == wanted) | (stride == 0)[:, None]
        # A still picture is a video at the usual rate.
        rate = self._frame_rate[self.sequence[middles]]
        window["offsets"] = np.where(stride > 0, stride / rate, 1 / 30)[:, None] * steps
        window["rows"] = rows
        window["channels"] = np.tile(_UNCHANGED, (*rows.shape, 1))
        window["cells"] = np.zeros((*rows.shape, 2), int)
        return window

    def _regions(self, rows: np.ndarray) -> dict[str, np.ndarray] | None:
        """What `spoil` takes of rows (B,), in their R regions of interest in place of frames; None if not needed."""
        if not self._looked:
            return None
        regions: dict[str, np.ndarray] = {key: values[rows].astype(np.float64) for key, values in self._looked.items()}
        shape = regions["scores"].shape
        regions["known"] = np.ones(shape, bool)
        regions["rows"] = np.tile(np.arange(shape[1]), (shape[0], 1))
        regions["channels"] = np.tile(_UNCHANGED, (*shape, 1))
        regions["cells"] = np.zeros((*shape, 2), int)
        return regions

    def _flows(self, middles: np.ndarray, stride: np.ndarray) -> np.ndarray | None:
        """(B, 15, 3, 3) as `features.flow_features` takes them: how the background moved; None if not needed.

        A filmed background is a painting far away, so that what the camera's turns make of it is exact.
        """
        if "flow" not in self.needs:
            return None
        of = self.sequence[middles]
        first = self.sequences[of, :1]
        rows = middles[:, None] + stride[:, None] * (np.arange(features.FLOW_STEPS + 1) - features.FLOW_STEPS)
        # Before the sequence begins, nothing is known to move.
        turns = self._turns[np.maximum(rows, first)].astype(float)
        focal = np.repeat((self._K[of, 0, 0] / np.hypot(*self._size[of].T))[:, None], features.FLOW_STEPS, axis=1)
        return homographies_from_rotations(turns[:, :-1], turns[:, 1:], focal)

    def _nearest_found(self, rows: np.ndarray, middles: np.ndarray) -> np.ndarray:
        """Rows (B, T), each replaced by the next one towards the middle in which the person was seen."""
        rows = rows.copy()
        towards = np.sign(middles[:, None] - rows)
        for _ in range(int(np.abs(middles[:, None] - rows).max(initial=0))):
            lost = ~self.found[rows]
            if not lost.any():
                break
            rows[lost] += towards[lost]
        return rows

    def _batch(
        self,
        middles: np.ndarray,
        window: dict[str, np.ndarray],
        regions: dict[str, np.ndarray] | None,
        flows: np.ndarray | None,
        assumed: np.ndarray,
        mirrored: np.ndarray,
    ) -> Batch:
        of = self.sequence[middles]
        size, true_K = self._size[of], self._K[of]
        true_K[mirrored, 0, 2] = size[mirrored, 0] - true_K[mirrored, 0, 2]
        told_K = true_K.copy()
        diagonal = np.hypot(*size.T)
        told_K[assumed, 0, 0] = told_K[assumed, 1, 1] = diagonal[assumed]
        local = rotations.axis_angle_to_matrix(self._poses[middles].astype(float))
        pelvis = self._pelvis[middles].copy()
        mirror_window(window, size[:, 0], mirrored)
        local[mirrored] = (_FLIP[:, None] * _FLIP * local[mirrored])[:, list(JOINT_MIRROR)]
        pelvis[mirrored, 0] *= -1
        if regions is not None:
            mirror_window(regions, size[:, 0], mirrored)
            # The regions are the views; a window has the one crop that they are placed around.
            window["crops"][:, self.target] = regions["crops"][:, 0]
        if flows is not None:
            flows[mirrored] = _FLIP[:, None] * _FLIP * flows[mirrored]
        crops = window["crops"][:, self.target]
        turn = features.roll(crops)
        local[:, 0] = turn @ local[:, 0]
        return Batch(
            inputs=self._inputs(window, regions, flows, told_K, mirrored) | self._motion(window, turn, mirrored),
            box=features.box_info(crops, told_K).astype(np.float32),
            true_box=features.box_info(crops, true_K).astype(np.float32),
            rotations=local.astype(np.float32),
            betas=self._betas[of].astype(np.float32),
            pelvis=np.einsum("bij,bj->bi", turn, pelvis).astype(np.float32),
            weights=self.weights[middles].astype(np.float32),
            rows=middles,
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
            seen = {key: window[key] for key in (*features.DETECTOR_FIELDS, "offsets", "known")}
            inputs["frames"] = features.window_features(**seen, camera_K=camera_K, target=self.target)
        if "maps" in self.needs:
            inputs["maps"] = self._maps(window, mirrored)
        if flows is not None:
            inputs["flow"] = features.flow_features(flows, crops)
        if regions is not None:
            of_network: Any = self.settings
            shown = {key: regions[key][:, : of_network.regions] for key in features.DETECTOR_FIELDS}
            inputs["regions"], boxes = features.region_features(shown, camera_K)
            inputs["region_boxes"] = boxes.astype(np.float32)
            inputs["places"] = features.encode_boxes(boxes, of_network.octaves)
        return inputs

    def _motion(self, window: dict[str, np.ndarray], turn: np.ndarray, mirrored: np.ndarray) -> dict[str, np.ndarray]:
        """The windows' true global rotations, in the rolled cameras (B, 3, 3), for who learns from them."""
        if "motion" not in self.needs:
            return {}
        local = rotations.axis_angle_to_matrix(self._poses[window["rows"]].astype(float))
        local[mirrored] = (_FLIP[:, None] * _FLIP * local[mirrored])[:, :, list(JOINT_MIRROR)]
        local[:, :, 0] = turn[:, None] @ local[:, :, 0]
        turned = to_global(torch.from_numpy(local.reshape(-1, 24, 3, 3)).float())
        return {"motion": matrix_to_sixd(turned).unflatten(0, local.shape[:2]).numpy()}

    def _maps(self, window: dict[str, np.ndarray], mirrored: np.ndarray) -> np.ndarray:
        """(B, L, 40, size, size) local maps of the middle of windows."""
        of_network: Any = self.settings
        length, size = of_network.local_window, of_network.local_size
        first = self.target - length // 2
        rows, channels, cells = (window[key][:, first : first + length] for key in ("rows", "channels", "cells"))
        found = np.empty((*rows.shape, maps.COUNT, size, size), np.uint8)
        for number, flipped in enumerate(mirrored):
            for place, row in enumerate(rows[number]):
                if place and row == rows[number, place - 1]:
                    found[number, place] = found[number, place - 1]
                    continue
                picture = shrink(spoilt(self._map(row), channels[number, place], cells[number, place]), size)
                found[number, place] = picture[..., ::-1] if flipped else picture
        return found

    def _map(self, row: int) -> np.ndarray:
        packed, starts = self._packed[self._shard[row]]
        at = self._row[row]
        return maps.unpack(packed[starts[at] : starts[at + 1]].tobytes())

    def world_landmarks(self, rows: np.ndarray) -> np.ndarray:
        """(B, 33, 3) what BlazePose itself says of rows, camera axes, metres."""
        return self._seen["world_landmarks"][rows].astype(float)

    def crops(self, rows: np.ndarray) -> np.ndarray:
        """(B, 4) crops of rows."""
        return self._seen["crops"][rows].astype(float)


def spoilt(full: np.ndarray, channels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Maps (40, 64, 64) taken from other channels (40,), some blank, of a crop that has moved by whole cells (2,)."""
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
    """Maps (40, 64, 64) at a smaller size, each cell the maximum of those it stands for."""
    factor = full.shape[1] // size
    rows = np.maximum.reduce([full[:, start::factor] for start in range(factor)])
    return np.maximum.reduce([rows[:, :, start::factor] for start in range(factor)])


def mirror_window(window: dict[str, np.ndarray], width: np.ndarray, mirrored: np.ndarray) -> None:
    """Show some (B,) of the windows, from images so many pixels wide (B,), in a mirror; in place."""
    which = np.flatnonzero(mirrored)
    across = width[which, None].astype(float)
    for key in ("landmarks", "world_landmarks", "visibility", "presence"):
        window[key][which] = window[key][which][:, :, _MIRROR]
    window["channels"][which] = window["channels"][which][:, :, _MAP_MIRROR]
    window["landmarks"][which, ..., 0] = across[..., None] - window["landmarks"][which, ..., 0]
    window["world_landmarks"][which, ..., 0] *= -1
    window["crops"][which, :, 0] = across - window["crops"][which, :, 0]
    window["crops"][which, :, 3] *= -1
