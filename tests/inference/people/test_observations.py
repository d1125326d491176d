"""What was observations in a video, taken apart and made whole."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from video_motion.inference.cache import Cache
from video_motion.inference.people.left_out import LeftOut
from video_motion.inference.people.observations import Observations
from video_motion.inference.people.track import RoiViews, Track


def track(number: int, n: int, roi_views: bool) -> Track:
    random = np.random.default_rng(number)
    shapes = {
        "landmarks": (n, 33, 2),
        "visibility": (n, 33),
        "presence": (n, 33),
        "world_landmarks": (n, 33, 3),
        "crops": (n, 4),
        "boxes": (n, 4),
        "scores": (n,),
    }
    seen = {name: random.random(shape).astype(np.float32) for name, shape in shapes.items()}
    at = {item.name: random.random((n, 4, 2)).astype(np.float32) for item in fields(RoiViews)}
    return Track(
        number=number,
        frames=np.arange(n),
        timestamps=np.arange(n) / 25,
        maps=np.full(n, -1),
        roi_views=RoiViews(**at) if roi_views else None,
        **seen,
    )


def test_round_trip(tmp_path: Path):
    observations = Observations(
        size=(640, 480),
        frame_rate=29.97,
        frames=np.arange(7),
        timestamps=np.arange(7) / 29.97,
        tracks=[track(1, 7, roi_views=True), track(12, 3, roi_views=False)],
        focal=801.5,
        camera_rotations=np.tile(np.eye(3), (7, 1, 1)),
        camera_positions=np.random.default_rng(1).random((7, 3)),
        camera_lines=np.random.default_rng(2).random((5, 4)),
        homographies=np.random.default_rng(0).random((7, 3, 3)),
        trusts={1: 0.9, 12: 0.56},
        left_out=[LeftOut("too short", 2, 4, 0.1, 0.2, 3, 0.9, 0.8, 3, (1.0, 2.0, 3.0, 4.0))],
        warnings=["It's dark."],
    )
    cache = Cache(tmp_path)
    cache.keep("a", observations.arrays())
    arrays = cache.load("a")
    assert arrays is not None
    back = Observations.from_arrays(arrays)
    assert (back.trusts, back.left_out) == (observations.trusts, observations.left_out)
    assert (back.size, back.frame_rate, back.warnings) == (
        observations.size,
        observations.frame_rate,
        observations.warnings,
    )
    for name in ("frames", "timestamps", "camera_rotations", "camera_lines", "homographies"):
        np.testing.assert_array_equal(getattr(back, name), getattr(observations, name))
    for one, other in zip(observations.tracks, back.tracks, strict=True):
        assert one.number == other.number
        for item in fields(Track):
            if item.name not in ("number", "roi_views"):
                np.testing.assert_array_equal(getattr(one, item.name), getattr(other, item.name))
    assert back.tracks[1].roi_views is None
    assert observations.tracks[0].roi_views is not None
    assert back.tracks[0].roi_views is not None
    for item in fields(RoiViews):
        np.testing.assert_array_equal(
            getattr(observations.tracks[0].roi_views, item.name), getattr(back.tracks[0].roi_views, item.name)
        )
