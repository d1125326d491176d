import numpy as np
from video_motion.inference.people import maps
from video_motion.inference.people.landmarker import Output


def test_maps_are_probabilities_in_steps_of_255():
    heatmaps = np.full((64, 64, 39), -20.0, np.float32)
    heatmaps[10, 20, 5] = 0.0
    heatmaps[11, 20, 5] = 30.0
    mask = np.full((256, 256), -40.0, np.float32)
    mask[:4, 4:8] = 40.0
    levels = maps.local_maps(Output(np.zeros((39, 5)), np.zeros((39, 3)), 1.0, heatmaps, lambda: mask))
    assert levels.shape == (40, 64, 64)
    assert levels.dtype == np.uint8
    assert (levels[5, 10, 20], levels[5, 11, 20]) == (128, 255)
    assert levels[39, 0, 1] == 255
    assert levels.astype(int).sum() == 128 + 255 + 255


def test_the_store_gives_back_what_it_was_given():
    rng = np.random.default_rng(0)
    kept = np.zeros((5, *maps.SHAPE), np.uint8)
    kept[:, 7, 20:30, 20:30] = rng.integers(0, 255, (5, 10, 10))
    store = maps.MapStore()
    numbers = [store.add(one) for one in kept]
    order = [numbers[3], maps.NONE, numbers[0], numbers[3]]
    found = store.read(order)
    np.testing.assert_array_equal(found[[0, 2, 3]], kept[[3, 0, 3]])
    assert not found[1].any()
    assert store.add(kept[1]) == len(store) - 1
    np.testing.assert_array_equal(store.read([5])[0], kept[1])
    store.close()
