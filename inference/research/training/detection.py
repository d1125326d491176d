"""The detector in the loop: both passes of the product over people whose motion is known, and shards of what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np

from ...models import load_people
from ...people import crops, maps, pictures, second_pass
from ...people.landmarker import Landmarker, Pose, decode
from ...people.target import CropSmoother
from ...people.tracker import MIN_SCORE, RETRY
from . import shards

# Of a contact sheet.
_COLUMNS = 8


class Scene(Protocol):
    """What is seen in some frames."""

    def draw(self, frame: int, crop: np.ndarray) -> np.ndarray:
        """(256, 256, 3) what is in a crop (4,) of a frame, BGR uint8."""
        ...


@dataclass
class Take:
    """A person whose motion is known, in n frames of footage.

    Attributes:
        scene: what is seen.
        name: of the motion.
        betas: (10,) shape.
        camera_K: (3, 3) intrinsics, pixels.
        size: (2,) width and height of the image.
        rate: frames per second.
        truth: per frame, arrays (n, ...) under the names of the shards' arrays.
        pixels: (n, 33, 2) true landmarks in the image.
        contacts_known: whether the truth of contacts means anything.
    """

    scene: Scene
    name: str
    betas: np.ndarray
    camera_K: np.ndarray
    size: np.ndarray
    rate: float
    truth: dict[str, np.ndarray]
    pixels: np.ndarray
    contacts_known: bool = True


@dataclass(frozen=True)
class Detectors:
    """What sees people: the networks of the product's first and second pass."""

    first: Landmarker
    second: Landmarker

    @classmethod
    def load(cls, device: str = "auto") -> Detectors:
        """The product's.

        Raises:
            RegistryError, NetworkError: as `load_people`.
        """
        people, second = load_people("best", device)
        assert second is not None
        return cls(people.landmarker, second)


@dataclass
class FrameDetection:
    """The detector's output in a frame.

    Attributes:
        pose: in the crop.
        maps: packed local maps of the crop; empty if they are not wanted.
        picture: what was in the crop, packed; empty if it is not wanted.
        roi_views: poses in the other regions of interest; empty in frames without them.
    """

    pose: Pose
    maps: bytes = b""
    picture: bytes = b""
    roi_views: list[Pose] = field(default_factory=list)


def follow(
    scene: Scene,
    pixels: np.ndarray,
    rate: float,
    landmarker: Landmarker,
    rng: np.random.Generator,
    with_maps: bool = True,
    roi_views_every: int | None = None,
    with_pictures: bool = False,
) -> Iterator[FrameDetection | None]:
    """The output for each frame of a detector that tracks the person as in use; None where it does not find them.

    Args:
        scene: the person.
        pixels: (n, 33, 2) true landmarks in the image, near which the first crop is.
        rate: frames per second.
        landmarker: the detector.
        rng: of the first crop's inaccuracy.
        with_maps: whether local maps are wanted.
        roi_views_every: one of how many frames it sees in the other regions of interest too; None for none.
        with_pictures: whether what it sees is kept.
    """
    smoother, points, wait = CropSmoother(), None, 0
    for frame in range(len(pixels)):
        if points is None and wait <= 0:
            smoother = CropSmoother()
            points = first_crop_points(pixels[frame], rng)
            first = crops.around(*points)
            (pose,) = landmarker.read([scene.draw(frame, first)], first[None])
            points = np.stack([pose.center, pose.rim]) if pose.score >= MIN_SCORE else None
        wait -= 1
        if points is None or np.hypot(*(points[1] - points[0])) < 4:
            points, wait = None, wait if wait > 0 else RETRY
            yield None
            continue
        crop = crops.around(*points)
        seen = scene.draw(frame, crop)
        (output,) = landmarker.run([seen])
        pose = decode(output, crop)
        if pose.score < MIN_SCORE:
            points, wait = None, RETRY
            yield None
            continue
        points = smoother(np.stack([pose.center, pose.rim]), frame / rate)
        packed = maps.pack(maps.local_maps(output)) if with_maps else b""
        picture = pictures.pack(seen) if with_pictures else b""
        yield FrameDetection(_bare(pose), packed, picture, _roi_views(scene, frame, crop, landmarker, roi_views_every))


def see_again(
    scene: Scene,
    rate: float,
    first: Sequence[FrameDetection | None],
    landmarker: Landmarker,
    roi_landmarker: Landmarker,
    roi_views_every: int | None = None,
    with_pictures: bool = False,
) -> list[FrameDetection | None]:
    """The output for each frame in a second pass, without local maps.

    Args:
        scene: the person.
        rate: frames per second.
        first: output of the first pass, which here has looked at every frame.
        landmarker: the accurate detector.
        roi_landmarker: the one that sees the other regions of interest.
        roi_views_every: see `follow`.
        with_pictures: the same.
    """
    step = second_pass.first_pass_step(rate)
    seen = {frame: found for frame in range(0, len(first), step) if (found := first[frame]) is not None}
    result: list[FrameDetection | None] = [None] * len(first)
    if not seen:
        return result
    numbers = np.array(list(seen))
    around = np.array([crops.around(found.pose.center, found.pose.rim) for found in seen.values()])
    frames, where, rows = second_pass.where_to_look(numbers, numbers / rate, around, step)
    inside = (frames >= 0) & (frames < len(first))
    frames, where, rows = frames[inside], where[inside], rows[inside]
    # The pictures of all frames would fill the memory, with the network's output for each.
    for start in range(0, len(frames), second_pass.BATCH):
        part = slice(start, start + second_pass.BATCH)
        cuts = [scene.draw(int(frame), crop) for frame, crop in zip(frames[part], where[part], strict=True)]
        for frame, crop, row, cut, pose in zip(
            frames[part], where[part], rows[part], cuts, landmarker.read(cuts, where[part]), strict=True
        ):
            if not second_pass.is_doubtful(pose):
                picture = pictures.pack(cut) if with_pictures else b""
                views = _roi_views(scene, int(frame), crop, roi_landmarker, roi_views_every)
                result[frame] = FrameDetection(_bare(pose), picture=picture, roi_views=views)
            elif row >= 0:
                earlier = seen[int(frame)]
                result[frame] = FrameDetection(earlier.pose, picture=earlier.picture, roi_views=earlier.roi_views)
    return result


Seen = tuple[str, Take, Sequence[FrameDetection | None]]
"""The quality with which a take was seen, the take, and the detector's output for each of its frames."""


def as_shard(seen: Sequence[Seen], roi_views: bool, with_pictures: bool, licensed: bool = False) -> shards.Shard:
    """The shard of what was seen.

    Args:
        seen: one sequence or more.
        roi_views: whether the detector looked at other regions of interest.
        with_pictures: whether what it saw was kept.
        licensed: whether poses and shapes are those of a licensed body.
    """
    found = [one for _, _, frames in seen for one in frames]
    columns = [
        {
            **_detection_columns(None if one is None else one.pose),
            **(_roi_view_columns([] if one is None else one.roi_views) if roi_views else {}),
        }
        for one in found
    ]
    rows = {key: np.array([row[key] for row in columns]) for key in columns[0]}
    rows |= {key: np.concatenate([take.truth[key] for _, take, _ in seen]) for key in seen[0][1].truth}
    packed = [b"" if one is None else one.maps for one in found]
    kept = {}
    if with_pictures:
        drawn = [b"" if one is None else one.picture for one in found]
        kept = {
            "picture_starts": np.cumsum([0, *map(len, drawn)]),
            "pictures": np.frombuffer(b"".join(drawn), np.uint8),
        }
    return shards.Shard(
        sequence_starts=np.cumsum([0, *(len(frames) for _, _, frames in seen)]),
        names=np.array([take.name for _, take, _ in seen]),
        detectors=np.array([quality for quality, _, _ in seen]),
        betas=np.array([take.betas for _, take, _ in seen], np.float32),
        camera_K=np.array([take.camera_K for _, take, _ in seen]),
        image_size=np.array([take.size for _, take, _ in seen]),
        frame_rate=np.array([take.rate for _, take, _ in seen]),
        contacts_known=np.array([take.contacts_known for _, take, _ in seen]),
        licensed=np.array(licensed),
        heatmap_starts=np.cumsum([0, *map(len, packed)]),
        heatmaps=np.frombuffer(b"".join(packed), np.uint8),
        **kept,
        **shards.compact(rows),
    )


Example = tuple[Take, int, np.random.Generator]
"""A take, one of its frames, and the first crop's inaccuracy, for `contact_sheet`."""


def contact_sheet(examples: Iterable[Example], landmarker: Landmarker) -> np.ndarray:
    """A grid of frames, each with and without the detector's landmarks in green and the true ones in red."""
    tiles = []
    for take, frame, rng in examples:
        pixels = take.pixels[frame]
        crop = crops.around(*first_crop_points(pixels, rng))
        picture = take.scene.draw(frame, crop)
        plain = picture.copy()
        (pose,) = landmarker.read([picture], crop[None])
        for points, colour in ((pixels, (0, 0, 255)), (pose.landmarks, (0, 255, 0))):
            for x, y in crops.from_image(points, crop)[11:] * len(picture):
                cv2.circle(picture, (int(x), int(y)), 2, colour, -1, cv2.LINE_AA)
        cv2.putText(picture, f"{pose.score:.2f}", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        tiles.append(np.vstack([plain, picture]))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    return np.vstack([np.hstack(tiles[row : row + _COLUMNS]) for row in range(0, len(tiles), _COLUMNS)])


def first_crop_points(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(2, 2) hip centre and rim of a person with landmarks (33, 2), with the person detector's inaccuracy."""
    hips, shoulders = pixels[[23, 24]].mean(0), pixels[[11, 12]].mean(0)
    reach = np.linalg.norm(pixels - hips, axis=1).max() * np.exp(rng.normal(0.05, 0.08))
    up = shoulders - hips
    angle = np.arctan2(up[0], -up[1]) + rng.normal(0, 0.12)
    centre = hips + rng.normal(0, 0.06, 2) * reach
    return np.stack([centre, centre + reach * np.array([np.sin(angle), -np.cos(angle)])])


def _roi_views(scene: Scene, frame: int, crop: np.ndarray, landmarker: Landmarker, every: int | None) -> list[Pose]:
    if not every or frame % every:
        return []
    others = crops.roi_crops(crop)
    return [_bare(pose) for pose in landmarker.read([scene.draw(frame, other) for other in others], others)]


def _bare(pose: Pose) -> Pose:
    """The pose without the network's whole output, which has megabytes."""
    pose.output = None
    return pose


def _detection_columns(pose: Pose | None) -> dict[str, Any]:
    if pose is None:
        return {
            "found": False,
            "landmarks": np.zeros((33, 2)),
            "visibility": np.zeros(33),
            "presence": np.zeros(33),
            "world_landmarks": np.zeros((33, 3)),
            "crops": np.zeros(4),
            "boxes": np.zeros(4),
            "scores": 0.0,
        }
    return {
        "found": True,
        "landmarks": pose.landmarks,
        "visibility": pose.visibility,
        "presence": pose.presence,
        "world_landmarks": pose.world_landmarks,
        "crops": pose.crop,
        "boxes": pose.box(),
        "scores": pose.score,
    }


def _roi_view_columns(poses: list[Pose]) -> dict[str, Any]:
    views = [_detection_columns(pose) for pose in poses] or [_detection_columns(None)] * crops.ROI_VIEWS
    arrays = {f"look_{key}": [view[key] for view in views] for key in views[0] if key not in ("found", "boxes")}
    return {"looked": bool(poses), **arrays}
