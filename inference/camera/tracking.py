"""Camera rotation and background motion, from the footage."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..body import rotations
from .intrinsics import intrinsics

_WORKING_WIDTH = 480
_MAX_POINTS = 240
_MIN_POINTS = 24
_KEY_FRAME_SHARE = 0.5
_TRIALS = 48
_INLIER_PIXELS = 1.0
_INLIER_SHARE = 0.4
_MIN_ROTATION = np.radians(0.15)
_MIN_SCALE = 1e-3


class CameraMotion:
    """Follows background points from frame to frame and finds the rotation that explains them.

    Points are tracked by Lucas–Kanade flow from a key frame on, so that errors do not add up while it is in view;
    a new key frame is taken when half of them are lost. Translation of the camera is not modelled: parallax
    is treated as outliers.
    """

    def __init__(self, size: tuple[int, int], focal: float | None = None, flow: bool = True):
        """Start a clip.

        Args:
            size: width and height of the footage in pixels.
            focal: focal length in pixels; √(W² + H²) unless given.
            flow: whether to estimate homographies too.
        """
        self._scale = min(1.0, _WORKING_WIDTH / max(size))
        self._camera = intrinsics(size, focal)
        self._camera[:2] *= self._scale
        self._random = np.random.default_rng(0)
        self._rotations: list[np.ndarray] = []
        self._flow = flow
        self._homographies: list[np.ndarray] = []
        self._key_rotation = np.eye(3)
        self._previous: np.ndarray | None = None
        self._key_points = self._points = np.empty((0, 2), np.float32)
        self._key_count = 0

    def add(self, image: np.ndarray, people: Sequence[np.ndarray] = ()) -> None:
        """Process the next frame.

        Args:
            image: (H, W, 3) BGR.
            people: boxes (left, top, width, height) in pixels of moving people, whose content is ignored.
        """
        small = cv2.resize(image, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        self._homographies.append(np.eye(3))
        if self._previous is None:
            self._rotations.append(np.eye(3))
        else:
            self._rotations.append(self._follow(grey))
        if len(self._points) < max(_MIN_POINTS, _KEY_FRAME_SHARE * self._key_count):
            self._start_key_frame(grey, people)
        self._previous = grey

    def rotations(self) -> np.ndarray:
        """(M, 3, 3) rotation from each frame's camera space into the first frame's; identity if it never rotated."""
        frame_rotations = np.array(self._rotations).reshape(-1, 3, 3)
        if (
            not len(frame_rotations)
            or rotations.relative_angle(frame_rotations, frame_rotations[:1]).max() < _MIN_ROTATION
        ):
            return np.broadcast_to(np.eye(3), frame_rotations.shape).copy()
        return frame_rotations

    def homographies(self) -> np.ndarray:
        """(M, 3, 3) homography of the background from the previous frame to each; identity where it can't be estimated.

        In image points from the centre, in units of the image's diagonal; the last entry is 1.
        """
        return np.array(self._homographies).reshape(-1, 3, 3)

    def _add_homography(self, before: np.ndarray, now: np.ndarray) -> None:
        """Estimate the homography of background points (n, 2), as if they were on one plane."""
        size = 2 * self._camera[:2, 2]
        there, here = ((points - self._camera[:2, 2]) / np.hypot(*size) for points in (before, now))
        homography, _ = cv2.findHomography(there, here, cv2.RANSAC, _INLIER_PIXELS / float(np.hypot(*size)))
        if homography is not None and abs(homography[2, 2]) > _MIN_SCALE:
            self._homographies[-1] = homography / homography[2, 2]

    def _start_key_frame(self, grey: np.ndarray, people: Sequence[np.ndarray]) -> None:
        free = np.full(grey.shape, 255, np.uint8)
        for box in people:
            left, top, width, height = np.asarray(box) * self._scale
            margin = 0.1 * max(width, height)
            corner, opposite = (left - margin, top - margin), (left + width + margin, top + height + margin)
            cv2.rectangle(free, _pixel(corner), _pixel(opposite), (0,), -1)
        corners = cv2.goodFeaturesToTrack(grey, _MAX_POINTS, 0.01, 8, mask=free)
        self._points = np.empty((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
        self._key_points = self._points
        self._key_rotation = self._rotations[-1]
        self._key_count = len(self._points)

    def _follow(self, grey: np.ndarray) -> np.ndarray:
        if self._previous is None or len(self._points) < _MIN_POINTS:
            return self._rotations[-1]
        start = self._points
        moved, tracked, _ = cv2.calcOpticalFlowPyrLK(self._previous, grey, start, start.copy(), winSize=(15, 15))
        back, tracked_back, _ = cv2.calcOpticalFlowPyrLK(grey, self._previous, moved, moved.copy(), winSize=(15, 15))
        both = np.asarray(tracked, bool).ravel() & np.asarray(tracked_back, bool).ravel()
        consistent = both & (np.linalg.norm(back - self._points, axis=1) < 0.5)
        if self._flow and consistent.sum() >= _MIN_POINTS:
            self._add_homography(start[consistent], moved[consistent])
        self._points, self._key_points = moved[consistent], self._key_points[consistent]
        if len(self._points) < _MIN_POINTS:
            return self._rotations[-1]
        rotation, inliers = self._estimate_rotation(self._points, self._key_points)
        if inliers.mean() < _INLIER_SHARE:
            return self._rotations[-1]
        self._points, self._key_points = self._points[inliers], self._key_points[inliers]
        return self._key_rotation @ rotation

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

    def _rays(self, points: np.ndarray) -> np.ndarray:
        plane = (points - self._camera[:2, 2]) / self._camera[[0, 1], [0, 1]]
        rays = np.concatenate([plane, np.ones((len(plane), 1))], axis=1)
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)


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
