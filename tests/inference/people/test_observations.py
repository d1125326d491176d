"""What was found in a video, taken apart and made whole."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from video_motion.inference.cache import Cache
from video_motion.inference.people.observations import Observations
from video_motion.inference.people.track import RoiViews, Track


def track(number: int, n: int, looks: bool) -> Track:
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
        looks=RoiViews(**at) if looks else None,
        **seen,
    )


def test_round_trip(tmp_path: Path):
    found = Observations(
        size=(640, 480),
        frame_rate=29.97,
        frames=np.arange(7),
        timestamps=np.arange(7) / 29.97,
        tracks=[track(1, 7, looks=True), track(12, 3, looks=False)],
        turns=np.tile(np.eye(3), (7, 1, 1)),
        homographies=np.random.default_rng(0).random((7, 3, 3)),
        warnings=["It's dark."],
    )
    cache = Cache(tmp_path)
    cache.keep("a", found.arrays())
    arrays = cache.load("a")
    assert arrays is not None
    back = Observations.of_arrays(arrays)
    assert (back.size, back.frame_rate, back.warnings) == (found.size, found.frame_rate, found.warnings)
    for name in ("frames", "timestamps", "turns", "homographies"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
    for one, other in zip(found.tracks, back.tracks, strict=True):
        assert one.number == other.number
        for item in fields(Track):
            if item.name not in ("number", "looks"):
                np.testing.assert_array_equal(getattr(one, item.name), getattr(other, item.name))
    assert back.tracks[1].looks is None
    assert found.tracks[0].looks is not None
    assert back.tracks[0].looks is not None
    for item in fields(RoiViews):
        np.testing.assert_array_equal(
            getattr(found.tracks[0].looks, item.name), getattr(back.tracks[0].looks, item.name)
        )
