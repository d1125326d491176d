"""Feet that an animator marks as standing."""

from __future__ import annotations

import numpy as np
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.footing import Footing
from video_motion.inference.motion.locking import hold_feet

from . import scenes
from .test_estimate import estimate, world_soles


def test_marked_feet_keep_still_and_the_body_stays_in_its_picture(body: Body, footing: Footing):
    scene = scenes.walk(body, np.arange(90) / 30)
    motion = estimate(body, scene, scenes.film(scene, np.random.default_rng(3)), feet=0.0)[0]
    held = hold_feet(motion, body, scene.standing)
    np.testing.assert_array_equal(held.contacts, scene.standing)
    before, after = world_soles(motion, body), world_soles(held, body)
    for foot, toe in ((0, 2), (1, 3)):
        stands = scene.standing[1:, foot] & scene.standing[:-1, foot]
        slid, slides = (np.linalg.norm(np.diff(soles[:, toe], axis=0), axis=-1)[stands] for soles in (before, after))
        assert slides.mean() < 0.15 * slid.mean()
    there, here = (scenes.project(each.joints_cam, each.camera_K) for each in (motion, held))
    size = np.ptp(there[..., 1], axis=1).mean()
    assert np.linalg.norm(there - here, axis=-1).mean() < 0.01 * size
    np.testing.assert_allclose(
        held.joints_cam, body.kinematics(body.local_rotations(held.poses_cam), held.betas, held.trans_cam)[1], atol=1e-9
    )
