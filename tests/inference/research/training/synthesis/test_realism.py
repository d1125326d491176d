import numpy as np
from video_motion.inference.research.training.synthesis.realism import MEASURES, Stretch, measure, table


def stretch(frames: int = 20) -> Stretch:
    """Somebody who stands still and is seen without any fault, in a crop of 256 pixels."""
    places = np.random.default_rng(0).uniform(50, 200, (33, 2))
    world = np.random.default_rng(1).normal(0, 0.5, (33, 3))
    crop = np.array([128.0, 128, 256, 0])
    return Stretch(
        np.tile(places, (frames, 1, 1)),
        np.tile(world, (frames, 1, 1)),
        np.full((frames, 33), 0.9),
        np.tile(crop, (frames, 1)),
        np.full(frames, 0.8),
    )


def test_a_perfect_detector_has_no_faults():
    told = measure(iter([stretch()]))
    assert set(told) == set(MEASURES)
    assert told["frames"] == 20
    assert told["score, lowest 5 %"] == 0.8
    for name in ("jitter while still", "limbs change sides", "crop size, jitter", "crop rotation, jitter"):
        assert told[name] == 0
    assert told["limb length, spread"] < 1e-9


def test_faults_are_counted():
    one = stretch()
    # Hands and elbows change sides in one frame and back in the next.
    one.landmarks[10, 13:17] = one.landmarks[10, [14, 13, 16, 15]]
    one.visibility[:5] = 0.1
    one.world_landmarks *= np.where(np.arange(20) % 2, 1.1, 0.9)[:, None, None]
    one.crops[:, 3] = np.radians(np.where(np.arange(20) % 2, 1.0, 0.0))
    told = measure(iter([one]))
    assert np.isclose(told["limbs change sides"], 100 * 2 / 19)
    assert np.isclose(told["visibility below half"], 25)
    assert np.isclose(told["limb length, spread"], 10)
    assert np.isclose(told["crop rotation, jitter"], 2)


def test_who_never_stands_still_has_no_jitter_to_tell():
    one = stretch()
    one.landmarks += 20.0 * np.arange(20)[:, None, None]
    told = measure(iter([one]))
    assert np.isnan(told["jitter while still"])
    assert "| jitter while still (px of 256) | – |" in table({"one": told})
