"""The camera's motion and the background's, from the footage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .. import spill
from ..body import rotations
from .intrinsics import intrinsics
from .lines import Lines
from .travel import Sightings, travel

_WORKING_WIDTH = 480
_MAX_POINTS = 240
_MIN_POINTS = 24
_KEY_FRAME_SHARE = 0.5
_TRIALS = 48
_INLIER_PIXELS = 1.0
_INLIER_SHARE = 0.4
_MIN_ROTATION = np.radians(0.15)
# The camera is at rest if so many points are, whatever else moves.
_STILL_PIXELS, _STILL_SHARE = 0.35, 0.4
# Key frames from which the camera's travel is found, per second, and how far apart new points are.
_KEYS_PER_SECOND, _APART = 3.0, 8
_MIN_SCALE = 1e-3
# Around people's boxes, as a share of their size.
_MARGIN = 0.1


class CameraMotion:
    """Follows background points from frame to frame and finds the camera motion that explains them.

    Points are tracked by Lucas–Kanade flow. Turns are measured from a key frame on, so that errors do not add up while
    it is in view; a new key frame is taken when half of the points are lost, or when they no longer look as if the
    camera only turned. How it travels is found at the end, from where all points were seen.
    """

    def __init__(self, size: tuple[int, int], focal: float | None = None, flow: bool = True, frame_rate: float = 25.0):
        """Start a clip.

        Args:
            size: width and height of the footage in pixels.
            focal: focal length in pixels; √(W² + H²) unless given.
            flow: whether to estimate homographies too.
            frame_rate: hertz, the mean rate.
        """
        self._focal_known, self._focal_share = focal is not None, 1.0
        self._scale = min(1.0, _WORKING_WIDTH / max(size))
        self._camera = intrinsics(size, focal)
        self._camera[:2] *= self._scale
        self._random = np.random.default_rng(0)
        self._flow = flow
        self._seen = spill.Columns()
        self._rotation = self._homography = np.eye(3)
        self._key_rotation = np.eye(3)
        self._previous: np.ndarray | None = None
        self._points: np.ndarray = np.empty((0, 2), np.float32)
        self._key_points = self._points
        self._numbers = np.empty(0, np.int32)
        self._key_count = self._next_number = 0
        self._frame_rate = frame_rate
        self._key_seconds = (max(round(frame_rate / _KEYS_PER_SECOND), 1) - 0.5) / frame_rate
        self._keys: list[int] = []
        self._key_time = -np.inf
        self._sighted = spill.Columns()
        self._path: tuple[np.ndarray, np.ndarray] | None = None
        self._lines = Lines()

    def add(self, image: np.ndarray, people: Sequence[np.ndarray] = (), timestamp: float | None = None) -> None:
        """Process the next frame.

        Args:
            image: (H, W, 3) BGR.
            people: boxes (left, top, width, height) in pixels of moving people, whose content is ignored.
            timestamp: seconds, increasing; by the mean rate if it isn't given.
        """
        small = cv2.resize(image, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        self._homography = np.eye(3)
        if self._previous is not None:
            self._rotation = self._follow(grey)
        self._leave_out(people)
        if len(self._points) < max(_MIN_POINTS, _KEY_FRAME_SHARE * self._key_count):
            self._start_key_frame(grey, people)
        number = len(self._seen)
        second = number / self._frame_rate if timestamp is None else timestamp
        self._seen.append({"seconds": second, "rotations": self._rotation, "homographies": self._homography})
        if not self._keys or second - self._key_time >= self._key_seconds:
            keys = np.full(len(self._numbers), len(self._keys), np.int32)
            self._sighted.extend({"keys": keys, "numbers": self._numbers, "points": self._points})
            self._keys.append(number)
            self._key_time = second
        self._lines.add(number, second, grey, [self._around(box) for box in people])
        self._previous, self._path = grey, None

    def solve(self, progress: Callable[[int], None] = lambda frames: None) -> None:
        """Find how the camera travels, which takes a while after a long shot; nothing changes where it is known.

        Args:
            progress: called with about the number of frames done.
        """
        if self._path is None:
            self._path = self._find_path(lambda keys: progress(self._keys[keys - 1] + 1))

    def focal(self) -> float:
        """The focal length in pixels: what is given, or what the camera's turns show, or what is assumed."""
        self._travelled()
        return float(self._focal_share * self._camera[0, 0] / self._scale)

    def positions(self) -> np.ndarray:
        """(M, 3) of each frame's camera in the first one's space, in units of the background's usual distance.

        Zero if it never travelled, or so little that nobody can tell.
        """
        return self._travelled()[1]

    def rotations(self) -> np.ndarray:
        """(M, 3, 3) rotation from each frame's camera space into the first frame's; identity if it never rotated."""
        return self._travelled()[0]

    def lines(self) -> np.ndarray:
        """(L, 4) straight lines of the background in the first camera's axes, see `Lines.planes`."""
        turns, focal = self.rotations(), self._focal_share * self._camera[0, 0]
        middle = self._camera[:2, 2]

        def rays(points: np.ndarray) -> np.ndarray:
            return np.concatenate([(points - middle) / focal, np.ones((len(points), 1))], axis=1)

        return self._lines.planes(rays, turns, float(2 * np.hypot(*middle)))

    def _travelled(self) -> tuple[np.ndarray, np.ndarray]:
        self.solve()
        assert self._path is not None
        return self._path

    def _find_path(self, progress: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
        turns = self._of_frames("rotations")
        if len(self._keys) > 2:
            sighted = self._sighted.arrays()
            points = sighted["points"]
            (places,) = spill.collect(len(points), lambda window: (self._plane(points[window]),))
            key_turns = turns[self._keys]
            found = travel(
                Sightings(sighted["keys"], sighted["numbers"], places), key_turns, self._focal_known, progress
            )
            if found is not None:
                self._focal_share = found.focal
                corrections = found.rotations @ np.swapaxes(key_turns, 1, 2)
                times = self._of_frames("seconds")
                key_times = times[self._keys]
                at = np.interp(times, key_times, np.arange(len(key_times)))
                # Beyond the last in intervals like the last.
                at += np.maximum(times - key_times[-1], 0) / (key_times[-1] - key_times[-2])

                def between(window: slice) -> tuple[np.ndarray, np.ndarray]:
                    turned = _between_keys(corrections, at[window]) @ turns[window]
                    return turned, _curve(found.positions, at[window], key_times)

                rotated, positions = spill.collect(len(turns), between)
                return rotated, positions
        turned = (float(rotations.relative_angle(turns[w], turns[:1]).max()) for w in spill.windows(len(turns)))
        if max(turned, default=0.0) < _MIN_ROTATION:
            turns = np.broadcast_to(np.eye(3), turns.shape)
        return turns, np.zeros((len(turns), 3))

    def _of_frames(self, name: str) -> np.ndarray:
        """(M, ...) what is known of every frame."""
        return self._seen.arrays()[name] if len(self._seen) else np.zeros((0, 3, 3))

    def homographies(self) -> np.ndarray:
        """(M, 3, 3) homography of the background from the previous frame to each; identity where it can't be estimated.

        In image points from the centre, in units of the image's diagonal; the last entry is 1.
        """
        return self._of_frames("homographies")

    def _add_homography(self, before: np.ndarray, now: np.ndarray) -> None:
        """Estimate the homography of background points (n, 2), as if they were on one plane."""
        size = 2 * self._camera[:2, 2]
        there, here = ((points - self._camera[:2, 2]) / np.hypot(*size) for points in (before, now))
        homography, _ = cv2.findHomography(there, here, cv2.RANSAC, _INLIER_PIXELS / float(np.hypot(*size)))
        if homography is not None and abs(homography[2, 2]) > _MIN_SCALE:
            self._homography = homography / homography[2, 2]

    def _leave_out(self, people: Sequence[np.ndarray]) -> None:
        """Forget points that people hide."""
        kept = np.ones(len(self._points), bool)
        for box in people:
            left, top, width, height = np.asarray(box) * self._scale
            kept &= ((self._points < (left, top)) | (self._points > (left + width, top + height))).any(1)
        self._keep(kept)

    def _around(self, box: np.ndarray) -> np.ndarray:
        """Left, top, right and bottom of what a person's box, and a margin, hides of the working picture."""
        left, top, width, height = np.asarray(box) * self._scale
        margin = _MARGIN * max(width, height)
        return np.array([left - margin, top - margin, left + width + margin, top + height + margin])

    def _keep(self, kept: np.ndarray) -> None:
        self._points, self._key_points, self._numbers = self._points[kept], self._key_points[kept], self._numbers[kept]

    def _start_key_frame(self, grey: np.ndarray, people: Sequence[np.ndarray]) -> None:
        free = np.full(grey.shape, 255, np.uint8)
        for box in people:
            around = self._around(box)
            cv2.rectangle(free, _pixel(around[:2].tolist()), _pixel(around[2:].tolist()), (0,), -1)
        for point in self._points:
            cv2.circle(free, _pixel(point.tolist()), _APART, (0,), -1)
        wanted = _MAX_POINTS - len(self._points)
        corners = cv2.goodFeaturesToTrack(grey, wanted, 0.01, _APART, mask=free) if wanted > 0 else None
        if corners is not None:
            new = corners.reshape(-1, 2)
            self._points = np.concatenate([self._points, new])
            self._numbers = np.concatenate([self._numbers, self._next_number + np.arange(len(new), dtype=np.int32)])
            self._next_number += len(new)
        self._key_points, self._key_rotation = self._points, self._rotation
        self._key_count = len(self._points)

    def _follow(self, grey: np.ndarray) -> np.ndarray:
        if self._previous is None or len(self._points) < _MIN_POINTS:
            return self._rotation
        start = self._points
        moved, tracked, _ = cv2.calcOpticalFlowPyrLK(self._previous, grey, start, start.copy(), winSize=(15, 15))
        back, tracked_back, _ = cv2.calcOpticalFlowPyrLK(grey, self._previous, moved, moved.copy(), winSize=(15, 15))
        both = np.asarray(tracked, bool).ravel() & np.asarray(tracked_back, bool).ravel()
        consistent = both & (np.linalg.norm(back - start, axis=1) < 0.5)
        if self._flow and consistent.sum() >= _MIN_POINTS:
            self._add_homography(start[consistent], moved[consistent])
        self._points = moved
        self._keep(consistent)
        if len(self._points) < _MIN_POINTS:
            return self._rotation
        if self._at_rest(self._key_points):
            return self._key_rotation
        rotation, inliers = self._estimate_rotation(self._points, self._key_points)
        if inliers.mean() >= _INLIER_SHARE:
            return self._key_rotation @ rotation
        # Seen from somewhere else than the key frame, but not from the frame before.
        before = start[consistent]
        self._key_points, self._key_rotation = before, self._rotation
        if self._at_rest(before):
            return self._key_rotation
        rotation, inliers = self._estimate_rotation(self._points, before)
        return self._key_rotation @ rotation if inliers.mean() >= _INLIER_SHARE else self._rotation

    def _at_rest(self, then: np.ndarray) -> bool:
        return bool((np.linalg.norm(self._points - then, axis=1) < _STILL_PIXELS).mean() > _STILL_SHARE)

    def _estimate_rotation(self, now: np.ndarray, then: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) from the current camera space to the key frame's, and its inliers; RANSAC on point pairs."""
        rays_now, rays_then = self._rays(now), self._rays(then)
        tolerance = _INLIER_PIXELS / self._camera[0, 0]
        pairs = self._random.integers(0, len(now), (_TRIALS, 3))
        candidates = rotations.project(np.einsum("tia,tib->tab", rays_then[pairs], rays_now[pairs]))
        errors = np.linalg.norm(np.einsum("tab,nb->tna", candidates, rays_now) - rays_then, axis=-1)
        inliers = errors[(errors < tolerance).sum(1).argmax()] < tolerance
        rotation = np.eye(3)
        for _ in range(3):
            rotation = rotations.project(rays_then[inliers].T @ rays_now[inliers]) if inliers.any() else rotation
            inliers = np.linalg.norm(rays_now @ rotation.T - rays_then, axis=1) < tolerance
        return rotation, inliers

    def _plane(self, points: np.ndarray) -> np.ndarray:
        """x / z and y / z (n, 2) of pixels (n, 2)."""
        return (points - self._camera[:2, 2]) / self._camera[[0, 1], [0, 1]]

    def _rays(self, points: np.ndarray) -> np.ndarray:
        plane = self._plane(points)
        rays = np.concatenate([plane, np.ones((len(plane), 1))], axis=1)
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _between_keys(turns: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(n, 3, 3) rotations at places (n,) between those of key frames (K, 3, 3), counted from 0."""
    before = np.minimum(at.astype(int), len(turns) - 1)
    after = np.minimum(before + 1, len(turns) - 1)
    steps = rotations.matrix_to_axis_angle(np.swapaxes(turns[before], 1, 2) @ turns[after])
    return turns[before] @ rotations.axis_angle_to_matrix((at - before)[:, None] * steps)


def _curve(positions: np.ndarray, at: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n, 3) points at places (n,) of a curve through those of key frames (K, 3); beyond the last it goes straight on.

    Args:
        positions: of the key frames.
        at: between which key frames, counted from 0.
        times: (K,) seconds of the key frames.
    """
    before = np.minimum(at.astype(int), len(positions) - 2)
    share, interval = (at - before)[:, None], np.diff(times)[before][:, None]
    speeds = np.gradient(positions, times, axis=0)
    start, end = positions[before], positions[before + 1]
    leaving, arriving = speeds[before] * interval, speeds[before + 1] * interval
    inside = (
        (2 * share**3 - 3 * share**2 + 1) * start
        + (share**3 - 2 * share**2 + share) * leaving
        + (3 * share**2 - 2 * share**3) * end
        + (share**3 - share**2) * arriving
    )
    return np.where(share <= 1, inside, end + (share - 1) * arriving)


def homographies_from_rotations(before: np.ndarray, now: np.ndarray, focal: np.ndarray) -> np.ndarray:
    """(..., 3, 3) homographies of a distant background when the camera rotates, as `CameraMotion.homographies`.

    Args:
        before: (..., 3, 3) rotation from the earlier camera's space into a common one.
        now: (..., 3, 3) from the later one's.
        focal: (...) focal length in units of the image's diagonal.
    """
    camera = np.zeros((*focal.shape, 3, 3))
    camera[..., 0, 0] = camera[..., 1, 1] = focal
    camera[..., 2, 2] = 1.0
    moved = camera @ np.swapaxes(now, -1, -2) @ before @ np.linalg.inv(camera)
    return moved / moved[..., 2:, 2:]


def _pixel(point: Sequence[float]) -> tuple[int, int]:
    return int(point[0]), int(point[1])
