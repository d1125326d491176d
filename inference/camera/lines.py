"""Straight lines in the background, which tell where up is: most edges of what people build are vertical or level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .intrinsics import NO_LINES

# Frames that are looked at: so far apart at least, seconds, and so many at most, spread over the shot.
_APART, _FRAMES = 1.0, 32
# The longest so many lines of a frame, and the shortest of them as a share of the picture's diagonal; lines so much
# longer than that count fully.
_LINES, _SHORTEST, _FULL = 60, 0.025, 4.0


class Lines:
    """Collects the lines of a shot's frames; memory does not grow with its length."""

    def __init__(self) -> None:
        self._detector = cv2.createLineSegmentDetector()
        self._apart = _APART
        self._times: list[float] = []
        self._seen: list[tuple[int, np.ndarray]] = []

    def add(self, number: int, timestamp: float, grey: np.ndarray, hidden: Sequence[np.ndarray]) -> None:
        """Look at a frame.

        Args:
            number: of the frame in the shot, from 0.
            timestamp: seconds.
            grey: (H, W) picture.
            hidden: boxes (left, top, right, bottom) in which nothing belongs to the background.
        """
        if self._times and timestamp - self._times[-1] < self._apart:
            return
        found = self._detector.detect(grey)[0]
        ends = np.zeros((0, 2, 2)) if found is None else found.reshape(-1, 2, 2).astype(float)
        middles = ends.mean(1)
        kept = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) > _SHORTEST * np.hypot(*grey.shape)
        for left, top, right, bottom in hidden:
            kept &= ((middles < (left, top)) | (middles > (right, bottom))).any(1)
        ends = ends[kept]
        longest = np.argsort(-np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), kind="stable")[:_LINES]
        self._times.append(timestamp)
        self._seen.append((number, ends[longest]))
        if len(self._seen) > _FRAMES:
            self._seen, self._times, self._apart = self._seen[::2], self._times[::2], 2 * self._apart

    def planes(self, rays: Callable[[np.ndarray], np.ndarray], rotations: np.ndarray, diagonal: float) -> np.ndarray:
        """(L, 4): unit normals, in the first camera's axes, of the planes through camera and lines, and weights.

        A frame's long lines weigh about 1 divided by the number of frames, as most are the same in all.

        Args:
            rays: gives directions (n, 3) in the camera's axes from points (n, 2) of the picture.
            rotations: (M, 3, 3) from each frame's camera axes into the first one's.
            diagonal: of the picture.
        """
        planes = []
        for number, ends in self._seen:
            first, second = rays(ends[:, 0]), rays(ends[:, 1])
            normals = np.cross(first, second) @ rotations[number].T
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
            length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / diagonal
            weights = np.minimum(length / (_FULL * _SHORTEST), 1.0) / len(self._seen)
            planes.append(np.concatenate([normals, weights[:, None]], axis=1))
        return np.concatenate(planes) if planes else NO_LINES
