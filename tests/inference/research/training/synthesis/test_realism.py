import numpy as np
from video_motion.inference.research.training.synthesis.realism import MEASURES, TrackSegment, measure, table


def segment(frames: int = 20) -> TrackSegment:
    """A person who stands still and is detected without errors, in a crop of 256 pixels."""
    points_2d = np.random.default_rng(0).uniform(50, 200, (33, 2))
    world = np.random.default_rng(1).normal(0, 0.5, (33, 3))
    crop = np.array([128.0, 128, 256, 0])
    return TrackSegment(
        np.tile(points_2d, (frames, 1, 1)),
        np.tile(world, (frames, 1, 1)),
        np.full((frames, 33), 0.9),
        np.tile(crop, (frames, 1)),
        np.full(frames, 0.8),
    )


def test_a_perfect_detector_has_no_errors():
    measured = measure(iter([segment()]))
    assert set(measured) == set(MEASURES)
    assert measured["frames"] == 20
    assert measured["score, lowest 5 %"] == 0.8
    for name in ("jitter while still", "limbs change sides", "crop size, jitter", "crop rotation, jitter"):
        assert measured[name] == 0
    assert measured["limb length, spread"] < 1e-9


def test_errors_are_counted():
    one = segment()
    # Hands and elbows change sides in one frame and back in the next.
    one.landmarks[10, 13:17] = one.landmarks[10, [14, 13, 16, 15]]
    one.visibility[:5] = 0.1
    one.world_landmarks *= np.where(np.arange(20) % 2, 1.1, 0.9)[:, None, None]
    one.crops[:, 3] = np.radians(np.where(np.arange(20) % 2, 1.0, 0.0))
    measured = measure(iter([one]))
    assert np.isclose(measured["limbs change sides"], 100 * 2 / 19)
    assert np.isclose(measured["visibility below half"], 25)
    assert np.isclose(measured["limb length, spread"], 10)
    assert np.isclose(measured["crop rotation, jitter"], 2)


def test_without_still_frames_there_is_no_jitter():
    one = segment()
    one.landmarks += 20.0 * np.arange(20)[:, None, None]
    measured = measure(iter([one]))
    assert np.isnan(measured["jitter while still"])
    assert "| jitter while still (px of 256) | – |" in table({"one": measured})
