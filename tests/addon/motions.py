"""Motions made by hand."""

from __future__ import annotations

import numpy as np
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import BODY_JOINTS
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.motion import Motion


def make_motion(
    body: Body,
    count: int = 12,
    size: tuple[int, int] = (1280, 720),
    centre: tuple[float, float] = (20.0, -35.0),
    frame_rate: float | None = None,
    moving_camera: bool = False,
    seed: int = 0,
    person: int = 1,
    start: float = 0.0,
) -> Motion:
    """Make a motion: big rotations, a moving root, a shape of its own, uneven times unless a rate is given."""
    random = np.random.default_rng(seed)
    if frame_rate is None:
        steps = random.choice([1 / 60, 1 / 30, 1 / 15, 0.0711], size=count)
        timestamps = np.concatenate([[0.0], np.cumsum(steps)])[:count]
    else:
        timestamps = np.arange(count) / frame_rate
    betas = random.normal(size=10)[: body.shapedirs.shape[2]]
    poses = np.cumsum(random.normal(scale=0.35, size=(count, 24, 3)), axis=0) + random.normal(size=(24, 3))
    if body.fingers is not None:
        # Where the fingers have joints of their own SMPL's two hands rest.
        poses[:, BODY_JOINTS:] = 0.0
    # The camera stands 4 m away, 1.5 m high, looking along +y and 10° down.
    tilt = rotations.axis_angle_to_matrix(np.array([np.radians(-90 - 10), 0.0, 0.0]))
    camera_to_world = np.tile(np.eye(4), (count, 1, 1))
    camera_to_world[:, :3, :3] = tilt
    camera_to_world[:, :3, 3] = (0.3, -4.0, 1.5)
    if moving_camera:
        pan = np.outer(np.linspace(0.0, 0.7, count), [0.0, 0.0, 1.0])
        camera_to_world[:, :3, :3] = rotations.axis_angle_to_matrix(pan) @ tilt
        camera_to_world[:, 0, 3] += np.linspace(0.0, 1.0, count)
    trans = np.stack([np.linspace(-0.2, 0.3, count), np.full(count, 0.1), np.linspace(3.6, 4.4, count)], axis=-1)
    focal = 1.1 * max(size)
    intrinsics = np.array(
        [[focal, 0.0, size[0] / 2 + centre[0]], [0.0, focal, size[1] / 2 + centre[1]], [0.0, 0.0, 1.0]]
    )
    padded = np.zeros(10)
    padded[: len(betas)] = betas
    bridged = np.zeros(count, dtype=bool)
    bridged[count // 2] = True
    return Motion(
        timestamps=timestamps + start,
        poses_cam=poses,
        trans_cam=trans,
        betas=padded,
        rest_pelvis=body.rest_joints(betas)[0],
        joints_cam=body.joints(poses, betas, trans),
        camera_K=intrinsics,
        camera_to_world=camera_to_world,
        image_size=np.array(size),
        frames=np.arange(count) + (0 if frame_rate is None else round(start * frame_rate)),
        boxes=np.zeros((count, 4)),
        scores=np.ones((count, 24)),
        bridged=bridged,
        contacts=np.zeros((count, 2)),
        landmarks=np.zeros((count, 33, 3)),
        world_landmarks=np.zeros((count, 33, 3)),
        person=person,
        provenance={"video": "walk.mp4"},
    )


def skin_of(body: Body, motion: Motion) -> np.ndarray:
    """Vertices (N, V, 3) of a motion's body in the world, with relaxed hands where it says nothing of fingers."""
    betas = motion.betas[: body.shapedirs.shape[2]]
    if body.with_fingers is None or body.fingers is None:
        return body.vertices(motion.poses, betas, motion.trans)
    fingers = motion.fingers
    if fingers is None:
        fingers = np.broadcast_to(body.fingers.relaxed, (len(motion), *body.fingers.relaxed.shape))
    poses = np.concatenate([motion.poses[:, :BODY_JOINTS], fingers], axis=1)
    return body.with_fingers.vertices(poses, betas, motion.trans)
