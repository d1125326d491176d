import numpy as np
import pytest
from video_motion.inference.people import crops


@pytest.mark.parametrize(
    ("rim", "rotation"),
    [((100, 60), 0), ((140, 100), np.pi / 2), ((60, 100), -np.pi / 2), ((100 + 24, 100 - 32), np.arctan2(3, 4))],
)
def test_crop_holds_the_circle_with_its_margin_and_turns_the_rim_upwards(rim, rotation):
    crop = crops.around(np.array([100, 100]), np.array(rim))
    np.testing.assert_allclose(crop, [100, 100, 2 * 40 * 1.25, rotation], atol=1e-12)
    # The rim lies above the centre, 1 / 1.25 of the way to the upper edge.
    np.testing.assert_allclose(crops.to_image(np.array([0.5, 0.5 - 0.4]), crop), rim, atol=1e-9)


def test_corners_of_a_turned_crop_worked_by_hand():
    crop = np.array([50.0, 40.0, 20.0, np.pi / 2])
    corners = crops.to_image(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), crop)
    np.testing.assert_allclose(corners, [[60, 30], [60, 50], [40, 50], [40, 30]], atol=1e-9)


def test_a_dot_found_in_the_cut_goes_back_to_its_place():
    image = np.zeros((300, 400, 3), np.uint8)
    image[121:124, 206:209] = 255
    for rotation in (0.0, 0.7, -2.9):
        crop = np.array([190.0, 130.0, 100.0, rotation])
        cut = crops.cut(image, crop, 256)[:, :, 0].astype(float)
        y, x = np.mgrid[:256, :256]
        found = np.array([(x * cut).sum(), (y * cut).sum()]) / cut.sum() / 256
        np.testing.assert_allclose(crops.to_image(found, crop), [207, 122], atol=0.15)


def test_outside_the_image_lies_black_or_the_edge_as_asked():
    image = np.full((50, 50, 3), 200, np.uint8)
    crop = crops.whole((50, 100, 3))
    assert crops.cut(image, crop, 64).min() == 200
    assert crops.cut(image, crop, 64, border=0)[0].max() == 0


@pytest.mark.parametrize("shape", [(720, 1280), (1920, 1080), (300, 300), (101, 999)])
def test_tiles_cover_the_image_and_overlap_by_half_at_least(shape):
    side = 0.5 * min(shape)
    tiles = crops.tiles(shape, side)
    for axis, length in ((0, shape[1]), (1, shape[0])):
        centers = np.unique(tiles[:, axis])
        assert centers[0] == pytest.approx(side / 2)
        assert centers[-1] == pytest.approx(length - side / 2)
        assert np.all(np.diff(centers) <= side / 2 + 1e-9)
    assert len(crops.tiles((100, 100), 100)) == 1


def test_roi_crops_are_moved_along_the_axes_of_the_crop():
    """A crop that lies on its side: its right is the image's down."""
    there = crops.roi_crops(np.array([100.0, 200.0, 50.0, np.pi / 2]))
    expected = [[100, 205, 75], [100, 195, 62.5], [95, 200, 40], [105, 200, 32.5]]
    np.testing.assert_allclose(there[:, :3], expected, atol=1e-9)
    np.testing.assert_allclose(there[:, 3], np.pi / 2)
