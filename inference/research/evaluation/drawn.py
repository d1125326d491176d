"""People drawn from the body before a camera at rest, of whom everything is known, to score what is seen of details."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from ...body.smpl import Body
from ...footage.reader import Frame
from ...motion.motion import Motion
from ...people.maps import NONE
from ...people.track import Track
from ..training.synthesis.appearance import normals_of

SIZE, FOCAL, RATE = 720, 900.0, 30.0
"""Of the pictures and the camera in pixels, and how many a second."""

_FIELD = float(2 * np.arctan(SIZE / 2 / FOCAL))


def acted(
    body: Body,
    poses: np.ndarray,
    betas: np.ndarray,
    trans: np.ndarray,
    fingers: np.ndarray | None = None,
    face: np.ndarray | None = None,
) -> Motion:
    """What somebody does before the camera.

    Args:
        body: theirs.
        poses: (n, 24, 3), the root's in camera space.
        betas: their shape.
        trans: (n, 3) in camera space.
        fingers, face: of the motion.
    """
    n = len(poses)
    points = body.landmark_positions(poses, betas, trans)
    return Motion(
        timestamps=np.arange(n) / RATE,
        poses_cam=poses,
        trans_cam=trans,
        betas=betas,
        rest_pelvis=body.rest_joints(betas)[0],
        joints_cam=body.joints(poses, betas, trans),
        camera_K=np.array([[FOCAL, 0.0, SIZE / 2], [0.0, FOCAL, SIZE / 2], [0.0, 0.0, 1.0]]),
        camera_to_world=np.tile(np.eye(4), (n, 1, 1)),
        image_size=np.array([SIZE, SIZE]),
        frames=np.arange(n),
        boxes=np.zeros((n, 4)),
        scores=np.ones((n, 24)),
        bridged=np.zeros(n, bool),
        contacts=np.zeros((n, 2)),
        landmarks=np.concatenate([FOCAL * points[..., :2] / points[..., 2:] + SIZE / 2, np.ones((n, 33, 1))], axis=-1),
        world_landmarks=points,
        fingers=fingers,
        face=face,
    )


def track(motion: Motion) -> Track:
    """The person, as if followed without error."""
    n = len(motion)
    return Track(
        number=1,
        frames=motion.frames,
        timestamps=motion.timestamps,
        landmarks=motion.landmarks[..., :2],
        visibility=np.ones((n, 33)),
        presence=np.ones((n, 33)),
        world_landmarks=motion.world_landmarks,
        crops=np.zeros((n, 4)),
        boxes=motion.boxes,
        scores=np.ones(n),
        maps=np.full(n, NONE),
    )


def skin(motion: Motion, row: int, body: Body) -> np.ndarray:
    """Vertices (V, 3) in camera space of a row of a motion."""
    one = slice(row, row + 1)
    return body.vertices_in_detail(
        motion.poses_cam[one],
        motion.betas,
        motion.trans_cam[one],
        None if motion.fingers is None else motion.fingers[one],
        None if motion.face is None else motion.face[one],
    )[0]


def pictures(motion: Motion, body: Body, colours: np.ndarray, rng: np.random.Generator) -> Iterator[Frame]:
    """The person in colours (V, 3) under one light, before a blurred pattern."""
    faces = body.faces.astype(np.int32)
    light = np.array([rng.normal() * 0.5, -0.6, -0.8])
    light = light / np.linalg.norm(light)
    background = cv2.GaussianBlur(rng.uniform(60, 220, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 25)
    background = (50 + 150 * (background - background.min()) / np.ptp(background)) / 255
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_CW)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    for number in range(len(motion)):
        points = skin(motion, number, body)
        lit = colours * (0.45 + 0.6 * np.clip(normals_of(points, faces) @ light, 0.0, None))[:, None]
        picture, depth = background.astype(np.float32).copy(), np.full((SIZE, SIZE), 100.0, np.float32)
        cv2.triangleRasterize(
            (points * (1.0, -1.0, -1.0)).astype(np.float32),
            faces,
            lit.astype(np.float32),
            picture,
            depth,
            np.eye(4, dtype=np.float32),
            _FIELD,
            0.1,
            100.0,
            settings,
        )
        noisy = 255 * picture + rng.normal(scale=2.0, size=picture.shape)
        yield Frame(number, float(motion.timestamps[number]), np.clip(noisy, 0, 255).astype(np.uint8))
