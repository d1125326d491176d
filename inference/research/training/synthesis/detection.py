"""The detector in the loop: both passes of the product over rendered people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....people import crops, maps, pictures, second_pass
from ....people.landmarker import Landmarker, Pose, decode
from ....people.target import CropSmoother
from ....people.tracker import MIN_SCORE, RETRY
from .renderer import Scene


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
