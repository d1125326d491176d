"""Shards of training data: a detector's output in every frame of some sequences, with the truth.

A sequence that two detectors have seen is there twice, with the same truth.

A shard is one uncompressed .npz of N rows (frames) in S sequences, without pickled objects:

| array | shape | meaning |
|---|---|---|
| `version` | () | version of this layout |
| `sequence_starts` | (S + 1,) | rows at which sequences begin |
| `names` | (S,) text | the motion of each sequence |
| `detectors` | (S,) text | the quality, `fast` or `best`, with which each sequence was seen |
| `betas` | (S, 10) | true shape |
| `camera_K` | (S, 3, 3) | true intrinsics, pixels |
| `image_size` | (S, 2) | width, height |
| `frame_rate` | (S,) | frames per second |
| `timestamps` | (N,) | seconds |
| `poses` | (N, 24, 3) | true axis-angle rotations, the root's in camera axes |
| `trans` | (N, 3) | true SMPL translation in the camera, metres |
| `camera_turns` | (N, 3, 3) | rotation from the frame's camera into the sequence's first |
| `camera_moves` | (N, 3) | the camera's position in the first one's axes, metres |
| `gravity` | (N, 3) | its direction in camera axes, a unit vector; zeros where it is not known |
| `contacts` | (N, 4) | whether left heel, left toe, right heel, right toe truly stand on the floor |
| `found` | (N,) | whether the person was detected; if not, the detector's other values are 0 |
| `landmarks` | (N, 33, 2) | image pixels |
| `visibility`, `presence` | (N, 33) | probabilities |
| `world_landmarks` | (N, 33, 3) | metres, camera axes, origin between the hips |
| `crops` | (N, 4) | the network's crop: centre, side in pixels, rotation |
| `boxes` | (N, 4) | left, top, width, height around the landmarks |
| `scores` | (N,) | probability of a person in the crop |
| `looked` | (N,) | whether it looked at the four other regions of `people.crops.roi_crops`; (0,) if it never did |
| `look_…` | (N, 4, …) | `landmarks`, `visibility`, `presence`, `world_landmarks`, `crops`, `scores` there |
| `heatmap_starts` | (N + 1,) | bytes at which each row's maps begin |
| `heatmaps` | (bytes,) | zlib streams of (40, 64, 64) uint8: 39 heatmaps and the segmentation mask, 255 for certain |
| `picture_starts` | (N + 1,) | bytes at which each row's picture begins; (0,) if there are none |
| `pictures` | (bytes,) | what was in the crop, as JPEG of 256 × 256 pixels |
| `contacts_known` | (S,) | whether `contacts` mean anything; (0,) if all do |
| `licensed` | () | whether poses and shapes are those of a licensed SMPL body; false if it is not there |

Rows without a detection have no maps, nor do those seen at `best`; data can be made without any. Pictures are there
where `train data --pictures` made them, of all rows with a detection.

Camera axes are x right, y down, z forward.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from ...atomic import atomic_write
from ...errors import VideoMotionError
from ...people import maps, pictures, sides
from ...people.crops import ROI_VIEWS
from ...people.track import RoiViews, Track

VERSION = 2

# Most of a shard, of which few rows are read at a time.
_MAPPED = {"heatmaps", "pictures"}


class ShardError(VideoMotionError):
    """A shard can't be read; the message is one sentence for the user."""


@dataclass
class Shard:
    """The arrays of a shard; see the module."""

    sequence_starts: np.ndarray
    names: np.ndarray
    detectors: np.ndarray
    betas: np.ndarray
    camera_K: np.ndarray
    image_size: np.ndarray
    frame_rate: np.ndarray
    timestamps: np.ndarray
    poses: np.ndarray
    trans: np.ndarray
    camera_turns: np.ndarray
    camera_moves: np.ndarray
    gravity: np.ndarray
    contacts: np.ndarray
    found: np.ndarray
    landmarks: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world_landmarks: np.ndarray
    crops: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    heatmap_starts: np.ndarray
    heatmaps: np.ndarray
    looked: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    look_landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, ROI_VIEWS, 33, 2), np.float32))
    look_visibility: np.ndarray = field(default_factory=lambda: np.zeros((0, ROI_VIEWS, 33), np.float32))
    look_presence: np.ndarray = field(default_factory=lambda: np.zeros((0, ROI_VIEWS, 33), np.float32))
    look_world_landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, ROI_VIEWS, 33, 3), np.float32))
    look_crops: np.ndarray = field(default_factory=lambda: np.zeros((0, ROI_VIEWS, 4), np.float32))
    look_scores: np.ndarray = field(default_factory=lambda: np.zeros((0, ROI_VIEWS), np.float32))
    picture_starts: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    pictures: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    contacts_known: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    licensed: np.ndarray = field(default_factory=lambda: np.array(False))

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def has_maps(self) -> np.ndarray:
        """(N,) which rows have local maps."""
        return np.diff(self.heatmap_starts) > 0

    def maps(self, row: int) -> np.ndarray:
        """(40, 64, 64) uint8 local maps of a row; zeros where there are none."""
        return maps.unpack(self.heatmaps[self.heatmap_starts[row] : self.heatmap_starts[row + 1]].tobytes())

    @property
    def has_pictures(self) -> np.ndarray:
        """(N,) which rows have a picture."""
        return np.diff(self.picture_starts) > 0 if len(self.picture_starts) else np.zeros(len(self), bool)

    def picture(self, row: int) -> np.ndarray:
        """(256, 256, 3) BGR uint8 what the landmark network saw in a row that has a picture."""
        return pictures.unpack(self.pictures[self.picture_starts[row] : self.picture_starts[row + 1]])


def compact(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of a shard as they are stored: float32, but for times and booleans."""
    return {
        name: values if name == "timestamps" or values.dtype == bool else values.astype(np.float32)
        for name, values in arrays.items()
    }


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        arrays = {item.name: getattr(shard, item.name) for item in fields(Shard)}
        np.savez(stream, version=np.int64(VERSION), allow_pickle=False, **arrays)


def read_shard(path: Path) -> Shard:
    """Read a shard; its heatmaps and pictures are memory-mapped.

    Raises:
        ShardError: the file is missing, damaged, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if int(archive["version"]) != VERSION:
                raise ShardError(f"{path} is of version {archive['version']}, not {VERSION}: generate the data again.")
            optional = {item.name for item in fields(Shard) if item.default_factory is not MISSING}
            names = {item.name for item in fields(Shard)} - (optional - set(archive.files))
            arrays = {name: archive[name] for name in names - _MAPPED}
        return Shard(**arrays, **{name: _mapped(path, f"{name}.npy") for name in names & _MAPPED})
    except FileNotFoundError as error:
        raise ShardError(f"{path} does not exist.") from error
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ShardError(
            f"{path} cannot be read as training data; delete it and generate it again ({error})."
        ) from error


def read_shards(paths: Sequence[Path], licensed: bool) -> list[Shard]:
    """Several shards.

    Args:
        paths: of the files.
        licensed: whether the body that they are to pose is a licensed one.

    Raises:
        ShardError: one can't be read, or has poses and shapes of another body.
    """
    found = [read_shard(path) for path in paths]
    for path, shard in zip(paths, found, strict=True):
        if bool(shard.licensed) != licensed:
            have, how = ("a licensed", "give it by --smpl") if shard.licensed else ("the free", "leave out --smpl")
            raise ShardError(f"{path} has poses and shapes of {have} body: {how}, or keep data of both bodies apart.")
    return found


def track_from_shard(shard: Shard, number: int) -> Track:
    """The detector's track of a sequence; its numbers of maps are rows of the shard."""
    rows = np.arange(shard.sequence_starts[number], shard.sequence_starts[number + 1])
    detected = rows[shard.found[rows]]
    return Track(
        number=1,
        frames=detected - rows[0],
        timestamps=shard.timestamps[detected],
        landmarks=shard.landmarks[detected],
        visibility=shard.visibility[detected],
        presence=shard.presence[detected],
        world_landmarks=shard.world_landmarks[detected],
        crops=shard.crops[detected],
        boxes=shard.boxes[detected],
        scores=shard.scores[detected],
        maps=detected,
        roi_views=_roi_views(shard, detected),
    )


def _roi_views(shard: Shard, rows: np.ndarray) -> RoiViews | None:
    if not len(shard.looked) or not shard.looked[rows].all():
        return None
    return RoiViews(**{item.name: getattr(shard, f"look_{item.name}")[rows] for item in fields(RoiViews)})


def mended(shard: Shard) -> Shard:
    """The shard as networks see its people in use: exchanged sides are found over each sequence and undone."""
    changed: dict[str, np.ndarray] = {}

    def write(name: str, rows: np.ndarray, values: np.ndarray) -> None:
        if name not in changed:
            changed[name] = getattr(shard, name).copy()
        changed[name][rows] = values

    for number in range(len(shard.betas)):
        track = track_from_shard(shard, number)
        exchanged = sides.exchanged_sides(track)
        if not exchanged.any():
            continue
        track = sides.with_sides_exchanged(track, exchanged)
        for name in sides.WITH_SIDES:
            write(name, track.maps, getattr(track, name))
            if track.roi_views is not None:
                write(f"look_{name}", track.maps, getattr(track.roi_views, name))
    return replace(shard, **changed)


def _mapped(path: Path, member: str) -> np.ndarray:
    """Memory-map an uncompressed one-dimensional array of bytes in an .npz."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{member} is compressed")
        with archive.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError(f"{member} has an unknown header")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            header = stream.tell()
    if dtype != np.uint8 or len(shape) != 1:
        raise ValueError(f"{member} holds {dtype} of shape {shape}")
    with path.open("rb") as stream:
        # The local header's name and extra field may differ in length from those of the central directory.
        stream.seek(info.header_offset + 26)
        lengths = np.frombuffer(stream.read(4), "<u2")
    start = info.header_offset + 30 + int(lengths.sum()) + header
    if not shape[0]:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r", start, shape)
