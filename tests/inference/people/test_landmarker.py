import cv2
import numpy as np
from video_motion.inference.people import landmarker
from video_motion.inference.people.blazepose import read_poses
from video_motion.inference.people.crops import cut
from video_motion.inference.people.landmarker import Output

LIMBS = [11, 12, 13, 14, 23, 24, 25, 26, 27, 28]


def heatmaps(count: int) -> np.ndarray:
    return np.full((64, 64, count), -30.0)


def test_refinement_takes_the_mean_of_the_heatmap_near_the_point():
    maps = heatmaps(1)
    maps[20, 30], maps[20, 32] = np.log(3), 0  # probabilities 3/4 and 1/2
    refined = landmarker.refine(np.array([[31.5 / 64, 21.5 / 64]]), maps)
    np.testing.assert_allclose(refined, [[(30 * 0.75 + 32 * 0.5) / 1.25 / 64, 20 / 64]], atol=1e-9)


def test_refinement_leaves_points_without_a_sure_peak_nearby():
    maps = heatmaps(4)
    maps[20, 30, 0] = -0.1  # below one half
    maps[20, 30, 1] = 9  # five cells away
    maps[0, 0, 2] = 9  # the point is outside
    points = np.array([[30.5, 20.5], [35.5, 20.5], [-1.5, 0.5], [70.0, 70.0]]) / 64
    np.testing.assert_array_equal(landmarker.refine(points, maps), points)


def test_refinement_at_the_edge_counts_only_what_is_there():
    maps = heatmaps(1)
    maps[63, 0] = 9
    np.testing.assert_allclose(landmarker.refine(np.array([[2.5, 61.5]]) / 64, maps), [[0, 63 / 64]], atol=1e-9)


def test_decoding_a_turned_crop_worked_by_hand():
    landmarks = np.zeros((39, 5))
    landmarks[:, :2] = 128
    landmarks[0, :2] = 192, 128  # to the right in the crop
    landmarks[0, 3], landmarks[0, 4] = np.log(3), -np.log(4)
    world = np.tile([0.3, -0.2, 0.5], (39, 1))
    output = Output(landmarks, world, 0.9, heatmaps(39), lambda: np.zeros((256, 256)))
    pose = landmarker.decode(output, np.array([100.0, 200.0, 80.0, np.pi / 2]))
    # A quarter turn clockwise: the crop's right is the image's bottom.
    np.testing.assert_allclose(pose.landmarks[0], [100, 220], atol=1e-9)
    np.testing.assert_allclose(pose.landmarks[1], [100, 200], atol=1e-9)
    np.testing.assert_allclose(pose.world_landmarks, np.tile([0.2, 0.3, 0.5], (33, 1)), atol=1e-9)
    np.testing.assert_allclose([pose.visibility[0], pose.presence[0]], [0.75, 0.2])
    assert pose.score == 0.9
    assert pose.landmarks.shape == (33, 2)


def test_gives_everything_the_network_has(blazepose, clip):
    image = clip[2].image
    crop = blazepose.detect(image).crops()[0]
    (output,) = blazepose.landmarker.run([cut(image, crop, 256)])
    assert output.landmarks.shape == (39, 5)
    assert output.world_landmarks.shape == (39, 3)
    assert output.heatmaps.shape == (64, 64, 39)
    assert output.mask.shape == (256, 256)
    inside = output.landmarks[LIMBS, :2].astype(int)
    assert (output.mask[inside[:, 1], inside[:, 0]] > 0).mean() > 0.8
    assert (output.mask[:40, :40] < 0).all()


def test_poses_turn_with_the_image(blazepose, clip):
    image = clip[2].image
    crop = blazepose.detect(image).crops()[0]
    (pose,) = read_poses(blazepose, [image], crop[None])
    assert pose.score > 0.9
    assert pose.upright()
    turned = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
    height = image.shape[0]
    turned_crop = np.array([[height - 1 - crop[1], crop[0], crop[2], crop[3] + np.pi / 2]])
    (other,) = read_poses(blazepose, [turned], turned_crop)
    expected = np.stack([height - 1 - pose.landmarks[:, 1], pose.landmarks[:, 0]], axis=1)
    assert np.median(np.linalg.norm(other.landmarks - expected, axis=1)) < 0.01 * crop[2]
    x, y, z = pose.world_landmarks.T
    assert np.median(np.linalg.norm(other.world_landmarks - np.stack([-y, x, z], axis=1), axis=1)) < 0.03


def test_an_empty_wall_is_nobody(blazepose, stage):
    (pose,) = read_poses(blazepose, [stage()], np.array([[480.0, 270.0, 500.0, 0.0]]))
    assert pose.score < 0.1
