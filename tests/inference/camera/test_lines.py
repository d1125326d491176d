"""Lines of the background, and where they point."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation
from video_motion.inference.camera.tracking import CameraMotion

SIZE, FOCAL = (480, 270), 400.0
# Of the camera, which is rolled and looks down.
UP = Rotation.from_euler("zx", [12, 14], degrees=True).apply([0.0, -1.0, 0.0])


def picture(random: np.random.Generator) -> np.ndarray:
    """(270, 480, 3) posts, as the camera sees them."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for x in np.linspace(-1.6, 1.6, 9):
        foot = np.array([x + random.uniform(-0.1, 0.1), 0.9, 4.0])
        ends = np.stack([foot, foot + random.uniform(0.8, 1.5) * UP])
        pixels = FOCAL * ends[:, :2] / ends[:, 2:] + np.array(SIZE) / 2
        first, second = (16 * pixels).astype(int).tolist()
        cv2.line(image, first, second, (210, 200, 190), 5, cv2.LINE_AA, 4)
    return image


def test_posts_point_up_and_people_hide_them():
    random = np.random.default_rng(0)
    motion = CameraMotion(SIZE, FOCAL, flow=False, frame_rate=1.0)
    everything = np.array([-20.0, -20.0, 520.0, 310.0])
    for number in range(4):
        motion.add(picture(random), [everything] if number == 3 else [], float(number))
    lines = motion.lines()
    off = np.degrees(np.abs(np.arcsin(lines[:, :3] @ UP)))
    long = lines[:, 3] > 0.15
    assert long.sum() > 30, "both edges of each post in three frames"
    assert (off[long] < 2).mean() > 0.9
    np.testing.assert_allclose(np.linalg.norm(lines[:, :3], axis=1), 1)
    assert lines[:, 3].max() <= 0.25, "four frames are one"


def test_a_long_shot_keeps_few():
    motion = CameraMotion(SIZE, FOCAL, flow=False, frame_rate=1.0)
    image = picture(np.random.default_rng(0))
    counts = []
    for number in range(150):
        motion.add(image, [], float(number))
        if number in (30, 149):
            counts.append(len(motion.lines()))
    assert counts[1] < 1.1 * counts[0]
