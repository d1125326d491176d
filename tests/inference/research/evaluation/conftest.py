from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.motion import Motion
from video_motion.inference.research.evaluation import metrics
from video_motion.inference.research.evaluation.truth import Truth

K = np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]])
FRAMES = 12


@pytest.fixture(scope="session")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="session")
def true_motion(body: Body) -> Motion:
    """Someone 4 m away who turns and moves arms and legs."""
    generator = np.random.default_rng(3)
    time = np.arange(FRAMES)[:, None, None] / 25
    poses = 0.3 * np.sin(2 * np.pi * time + generator.uniform(0, 6, (1, 24, 3)))
    poses[:, 0] = [np.pi, 0, 0]
    trans = np.array([[0.2, 0.3, 4.0]]) + 0.2 * time[:, 0]
    betas = np.zeros(10)
    joints = body.joints(poses, betas, trans)
    pixels = metrics.project(joints, K)
    return Motion(
        timestamps=time[:, 0, 0],
        poses_cam=poses,
        trans_cam=trans,
        betas=betas,
        rest_pelvis=body.rest_joints(betas)[0],
        joints_cam=joints,
        camera_K=K,
        camera_to_world=np.repeat(np.eye(4)[None], FRAMES, 0),
        image_size=np.array([640, 480]),
        frames=np.arange(FRAMES),
        boxes=np.concatenate([pixels.min(1), np.ptp(pixels, axis=1)], axis=1),
        scores=np.ones((FRAMES, 24)),
        bridged=np.zeros(FRAMES, dtype=bool),
        contacts=np.ones((FRAMES, 2)),
        landmarks=np.zeros((FRAMES, 33, 3)),
        world_landmarks=np.zeros((FRAMES, 33, 3)),
        estimator="truth",
    )


@pytest.fixture(scope="session")
def truth(true_motion: Motion, body: Body) -> Truth:
    return Truth.from_motion(true_motion, body)


@pytest.fixture
def estimated(true_motion: Motion) -> Callable[..., Motion]:
    """Makes a flawless estimate, with flawless landmarks, of the true motion; some fields may be changed."""
    limbs = true_motion.joints_cam[:, metrics.LIMB_JOINTS]
    landmarks, world = np.zeros((FRAMES, 33, 3)), np.zeros((FRAMES, 33, 3))
    landmarks[:, metrics.LIMB_LANDMARKS, :2] = metrics.project(limbs, K)
    landmarks[:, metrics.LIMB_LANDMARKS, 2] = 1
    world[:, metrics.LIMB_LANDMARKS] = metrics.align_root(limbs, metrics.HIPS)

    def make(**changes: object) -> Motion:
        fields = {"landmarks": landmarks, "world_landmarks": world, "estimator": "landmarks"}
        return replace(true_motion, **(fields | changes))

    return make
