"""Runs a temporal network along a track: each frame's features once, windows in batches, memory for one batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import spill
from ..estimators import beside
from ..people.track import Track
from ..runtime.session import NetworkError, Session
from . import features
from .lifting import Lifted, Lifter, step_seconds, window_stride, with_known
from .pose_estimate import PoseEstimate


class MapReader(Protocol):
    """Local maps by number, as `people.maps.MapStore` gives them."""

    def read(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 40, 64, 64) uint8."""
        ...


class PictureReader(Protocol):
    """Pictures of a track's person by row, as `people.pictures.TrackPictures` gives them."""

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, 256, 256, 3) BGR uint8."""
        ...


# Windows, and about as many frames that an image encoder sees at once.
_BATCH = 16
# Of local features that windows see at once; what is made of them takes twenty times as much.
_LOCAL_BYTES = 2**26


@dataclass
class VideoContext:
    """Input of a network in addition to a track.

    Attributes:
        camera_K: (3, 3) intrinsics in pixels.
        maps: the video's local maps.
        frames: (M,) numbers of the video's frames.
        homographies: (M, 3, 3) of the background from the previous frame, see `features.flow_features`.
        pictures: those of the track.
    """

    camera_K: np.ndarray
    maps: MapReader | None = None
    frames: np.ndarray | None = None
    homographies: np.ndarray | None = None
    pictures: PictureReader | None = None


class TemporalNetwork:
    """A network that estimates one frame of a window, from the lifter's features or from what an image encoder sees.

    Args:
        lifter: its ONNX file.
        window: ONNX file of the part that depends on a window.
        frame: ONNX file of the part that depends on one frame, if the network uses local maps or pictures; None for the
            one beside `window`.
        device: see `Session`.

    Attributes:
        kind: which of `estimators.TRAINABLE` it is.
        licensed: whether its rotations and betas are a licensed body's, not those of the free one.

    Raises:
        NetworkError: a file is missing, damaged, or made for other features; or there is no such device.
    """

    def __init__(self, lifter: Path, window: Path, frame: Path | None = None, device: str = "auto"):
        self._lifter = Lifter(lifter, device)
        self._window = Session(window, device)
        self.kind, self._settings = _described(window, self._window)
        self.frames, self.target = int(self._settings["frames"]), int(self._settings["target"])
        self.name = self._window.properties["configuration"]
        self.licensed = self._window.properties.get("body") == "licensed"
        self.needs_pictures = self._settings["encoder"] != "blazepose"
        if not self.needs_pictures and self._settings["features"] != self._lifter.width:
            raise NetworkError(
                f"{window} was trained with another lifter than {lifter}: put its own beside it, as"
                f" {beside(window, 'lifter').name}."
            )
        self._frame = None
        if self.needs_pictures or "local" in self._window.inputs:
            file = frame or beside(window, "encoder" if self.needs_pictures else "local")
            if not file.exists():
                raise NetworkError(
                    f"{window} can't be used without {file.name}, which was exported with it: put it into the same"
                    " folder."
                )
            self._frame = Session(file, device, side_by_side=self.needs_pictures)
            if _described(file, self._frame)[1] != self._settings:
                raise NetworkError(f"{file} is of another training than {window}: export both again.")

    @property
    def needs_maps(self) -> bool:
        """Whether it uses local maps."""
        return self._frame is not None and not self.needs_pictures

    @property
    def needs_roi_views(self) -> bool:
        """Whether it uses people's other regions of interest."""
        return "regions" in self._window.inputs

    @property
    def needs_flow(self) -> bool:
        """Whether it uses the background's motion."""
        return "flow" in self._window.inputs

    def estimate(self, track: Track, context: VideoContext) -> PoseEstimate:
        """Estimate the pose in each of a track's frames."""
        n = len(track)
        rotations, pelvis, betas = (spill.zeros((n, *shape), np.float32) for shape in ((24, 3, 3), (3,), (10,)))
        lifted = self._lifter.lift(track, context.camera_K)
        stride = window_stride(track.frames, track.timestamps)
        seen: dict[int, Sequence[np.ndarray]] = {}
        for start in range(0, n, _BATCH):
            part = slice(start, min(start + _BATCH, n))
            rows, known = windows(track.frames, stride, self.frames, self.target, part)
            crops = track.crops[part].astype(float)
            K = np.broadcast_to(context.camera_K, (len(crops), 3, 3))
            inputs = {"box": features.box_info(crops, K).astype(np.float32)}
            if "frames" in self._window.inputs and not self.needs_pictures:
                inputs["frames"] = with_known(lifted.frames[rows], known)
            if self._frame is not None:
                of_frames, seen = self._see(self._frame, rows, track, context, seen)
                inputs |= of_frames
            if self.needs_flow:
                inputs["flow"] = features.flow_features(flow_homographies(context, track.frames[part], stride), crops)
            if self.needs_roi_views:
                inputs |= self._regions(track, part, K, lifted)
            local, shape, crop_camera = self._estimate(inputs)
            in_crop = features.full_translation(crop_camera, inputs["box"])
            rotations[part], pelvis[part] = features.to_camera(local, in_crop, crops, K)
            betas[part] = shape
            spill.let_go()

        def turned(window: slice) -> tuple[np.ndarray]:
            crops = track.crops[window].astype(float)
            axes = features.crop_axes(crops, np.broadcast_to(context.camera_K, (len(crops), 3, 3)))
            return (np.einsum("nij,ni->nj", axes, lifted.gravity[window]),)

        (gravity,) = spill.collect(n, turned)
        return PoseEstimate(rotations, pelvis, betas, lifted.sigma, gravity, lifted.contacts)

    def _estimate(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs for windows: all at once, or few where local features are as large as the paper's."""
        count = len(inputs["box"])
        size = max(_LOCAL_BYTES * count // inputs["local"].nbytes, 1) if "local" in inputs else count
        parts = [
            self._window(**{name: values[start : start + size] for name, values in inputs.items()})
            for start in range(0, count, size)
        ]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _regions(self, track: Track, part: slice, camera_K: np.ndarray, lifted: Lifted) -> dict[str, np.ndarray]:
        if track.roi_views is None:
            raise NetworkError(
                f"{self.name} needs the detections in people's other regions of interest, which this track lacks."
            )
        count = self._settings["regions"]
        detections = {
            name: np.concatenate([getattr(track, name)[part, None], getattr(track.roi_views, name)[part]], 1)[:, :count]
            for name in features.DETECTOR_FIELDS
        }
        period = np.full(len(camera_K), step_seconds(track.frames, track.timestamps))
        regions, boxes = features.region_features(
            {name: values.astype(float) for name, values in detections.items()}, period, camera_K
        )
        of_frame = np.repeat(lifted.frames[part, None, features.SIZE :], regions.shape[1], axis=1)
        encodings = features.encode_boxes(boxes, self._settings["octaves"])
        return {
            "regions": np.concatenate([regions, of_frame], axis=-1),
            "region_boxes": boxes.astype(np.float32),
            "places": encodings,
        }

    def _see(
        self,
        frame: Session,
        rows: np.ndarray,
        track: Track,
        context: VideoContext,
        before: dict[int, Sequence[np.ndarray]],
    ) -> tuple[dict[str, np.ndarray], dict[int, Sequence[np.ndarray]]]:
        """What single frames give to windows (B, T), and the outputs for each row, reused from the batch before."""
        places = {"vector": rows}
        if "local" in frame.outputs:
            length = self._settings["local_window"]
            first = self.target - length // 2
            places["local"] = rows[:, first : first + length]
        needed = np.unique(rows if self.needs_pictures else places["local"]).tolist()
        seen = {row: before[row] for row in needed if row in before}
        if new := [row for row in needed if row not in seen]:
            if self.needs_pictures:
                if context.pictures is None:
                    raise NetworkError(f"{self.name} needs pictures of people, which were not cut out.")
                made: Sequence[Sequence[np.ndarray]] = frame.each(list(context.pictures.read(new)))
            else:
                if context.maps is None:
                    raise NetworkError(f"{self.name} needs local maps, which were not kept.")
                made = [[local] for local in frame(maps=context.maps.read(track.maps[new]))[0]]
            seen.update(zip(new, made, strict=True))
        inputs = {}
        for number, name in enumerate(frame.outputs):
            used = np.unique(places[name])
            table = np.stack([seen[row][number] for row in used.tolist()])
            inputs["frames" if name == "vector" else name] = table[np.searchsorted(used, places[name])]
        return inputs, seen


def kind_of(window: Path) -> str:
    """Which network a file holds, one of `estimators.TRAINABLE`.

    Raises:
        NetworkError: none that can be used.
    """
    if window.suffix in (".pt", ".pth"):
        raise NetworkError(
            f"{window} is a checkpoint of a training: write it for use with `video-motion train export --checkpoint"
            f" {window} --out FOLDER`, and give the .onnx file."
        )
    try:
        state = window.stat()
    except OSError:
        return _kind_of(window, 0, 0)
    return _kind_of(window, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _kind_of(window: Path, changed: int, size: int) -> str:
    """As `kind_of`; a file of many megabytes is opened once for all who ask, until it changes."""
    return _described(window, Session(window, "cpu"))[0]


def own_weights(window: Path | None, network: str) -> Path | None:
    """A user's file if it holds that network; None for the network that comes with the program.

    Raises:
        NetworkError: as `kind_of`.
    """
    return window if window is not None and kind_of(window) == network else None


def _described(file: Path, session: Session) -> tuple[str, dict[str, Any]]:
    """Which network an exported file is of, and its settings."""
    properties = session.properties
    try:
        settings, version = json.loads(properties["settings"]), properties["features"]
        # Files of earlier versions are named after their network.
        kind = properties.get("network", properties["configuration"].partition("-")[0])
    except (KeyError, ValueError) as error:
        raise NetworkError(
            f"{file} is no network that `video-motion train export` has written: give one that is."
        ) from error
    if version != str(features.VERSION):
        raise NetworkError(
            f"{file} was made for another version of Video Motion: fetch its weights again, or train it again."
        )
    return kind, settings


def flow_homographies(context: VideoContext, frames: np.ndarray, stride: int) -> np.ndarray:
    """(n, 15, 3, 3) homographies of the background in the 15 steps of `stride` frames before each of frames (n,).

    Before the start of the video they are the identity.

    Raises:
        NetworkError: the context has no homographies.
    """
    if context.homographies is None or context.frames is None:
        raise NetworkError("The network needs the background's motion, which was not measured.")
    place = np.searchsorted(context.frames, frames)
    ends = place[:, None] + stride * (np.arange(features.FLOW_STEPS) + 1 - features.FLOW_STEPS)
    steps = np.broadcast_to(np.eye(3), (*ends.shape, 3, 3))
    for back in range(stride - 1, -1, -1):
        at = ends - back
        steps = np.where((at > 0)[..., None, None], context.homographies[np.maximum(at, 0)], np.eye(3)) @ steps
    return steps / steps[..., 2:, 2:]


def windows(
    frames: np.ndarray, stride: int, length: int, target: int, part: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """A window of `length` frames for each of some of a track's frames (n,), its target; none is cut off at the ends.

    Args:
        frames: of the track.
        stride: distance in frames between neighbours in a window, see `window_stride`.
        length: of the windows.
        target: which of a window's frames it is for.
        part: the b frames that get one.

    Returns:
        (b, length) rows of the track, each frame without detection replaced by the next one towards the target;
        (b, length) whether it has a detection.
    """
    steps = np.arange(length) - target
    wanted = frames[part, None] + stride * steps
    earlier = np.searchsorted(frames, wanted, side="left")
    later = np.searchsorted(frames, wanted, side="right") - 1
    rows = np.where(steps <= 0, earlier, later)
    return rows, frames[rows] == wanted
