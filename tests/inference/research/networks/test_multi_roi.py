import math

import numpy as np
import pytest
import torch
from video_motion.inference.pose import features
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.inputs import example
from video_motion.inference.research.networks.multi_roi import camera_consistency, contrast, crop_camera
from video_motion.inference.research.networks.torch_body import full_translation


def boxes_of(*boxes: tuple[float, float, float]) -> torch.Tensor:
    """(1, M, 3) box information of boxes with centres from the middle of the image and widths, in focal lengths."""
    return torch.tensor([[[2.8 * x, 2.8 * y, (b - 0.24) / 0.06] for x, y, b in boxes]])


def test_the_camera_of_a_crop_and_of_the_image_are_each_others_inverse():
    rng = torch.Generator().manual_seed(0)
    box = torch.randn(5, 3, generator=rng) * 0.5 + torch.tensor([0.0, 0, 1])
    camera = torch.cat([torch.rand(5, 1, generator=rng) + 0.5, torch.randn(5, 2, generator=rng)], dim=1)
    torch.testing.assert_close(crop_camera(full_translation(camera, box), box), camera, atol=1e-5, rtol=1e-4)


def test_consistency_worked_by_hand():
    boxes = boxes_of((0.0, 0.0, 0.5), (0.1, 0.0, 0.25))
    # A pelvis at (0.2, 0.1, 4): b s is 2 / 4 = 0.5, tx is 0.2 less the box's centre at that depth.
    right = torch.tensor([[[1.0, 0.2, 0.1], [2.0, 0.2 - 0.4, 0.1]]])
    assert float(camera_consistency(right, boxes)) == pytest.approx(0.0, abs=1e-9)
    # The first one's tx is off by 0.3: both orders of the pair count, with weight 0.1.
    off = right + torch.tensor([[[0.0, 0.3, 0], [0, 0, 0]]])
    assert float(camera_consistency(off, boxes)) == pytest.approx(2 * 0.1 * 0.09, rel=1e-4)
    # b s off by 0.05 focal lengths, 50 pixels at a focal length of 1000: 0.0001 * 2500, and its depth moves the centre.
    wide = boxes_of((0.0, 0.0, 0.5), (0.0, 0.0, 0.25))
    scaled = torch.tensor([[[1.1, 0.0, 0.0], [2.0, 0.0, 0.0]]])
    assert float(camera_consistency(scaled, wide)) == pytest.approx(2 * 0.0001 * 2500, rel=1e-4)


def test_contrast_worked_by_hand():
    """Two people, two regions each, in the plane."""
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    alike = torch.stack([torch.stack([x, x]), torch.stack([y, y])])
    # Own regions: 1 / 0.5; strangers: log(2 exp(0)).
    torch.testing.assert_close(contrast(alike), torch.full((2,), math.log(2) - 2.0))
    mixed = torch.stack([torch.stack([x, y]), torch.stack([x, y])])
    torch.testing.assert_close(contrast(mixed), torch.full((2,), math.log(math.exp(2) + 1)))
    assert contrast(alike[:, :1]).tolist() == [0.0, 0.0]
    assert contrast(alike[:1]).tolist() == [0.0]


def test_high_octaves_are_worked_out_in_float64():
    """Half a wave of the last octave is 2⁻³¹ of the image, which float32 rounds to nothing."""
    box = np.array([[[2.8 * (0.25 + 0.5 / 2**31), 0.0, (0.5 - 0.24) / 0.06]]])
    encoding = features.encode_boxes(box, 32)
    assert encoding.shape == (1, 1, features.encoding_size(32)) == (1, 1, 195)
    x_waves = encoding[0, 0, 3:67].reshape(32, 2)
    # sin and cos of 2³¹ π x: a quarter of the image is a whole number of waves, and π / 2 is left.
    np.testing.assert_allclose(x_waves[31], [1, 0], atol=1e-5)
    np.testing.assert_allclose(x_waves[0], [math.sin(math.pi / 4), math.cos(math.pi / 4)], atol=1e-6)
    assert np.abs(encoding).max() <= 1.0 + 1e-6


@pytest.mark.parametrize("octaves", [0, 32, 64])
def test_rounding_to_half_changes_little_whatever_the_octaves(octaves, body):
    """What goes into the network lies between -1 and 1, so that float16 and TF32 can hold it."""
    torch.manual_seed(0)
    chosen = configuration("multi_roi-compact")
    settings = type(chosen.settings)(**{**vars(chosen.settings), "octaves": octaves})
    network = type(chosen.build(body))(settings, body).eval()
    inputs = example(network.needs, settings, 4, 0)
    with torch.no_grad():
        exact = network(**inputs).estimates[-1].flat()
        rounded = network(**{key: value.half().float() for key, value in inputs.items()}).estimates[-1].flat()
    assert (exact - rounded).abs().max() < 5e-3


def test_the_order_of_the_other_regions_does_not_matter(body):
    torch.manual_seed(0)
    network = configuration("multi_roi-compact").build(body).eval()
    inputs = example(network.needs, network.settings, 2, 0)
    order = [0, 3, 1, 4, 2]
    with torch.no_grad():
        output = network(**inputs).estimates[-1].flat()
        again = network(**{key: value[:, order] for key, value in inputs.items()}).estimates[-1].flat()
    torch.testing.assert_close(again, output, atol=1e-5, rtol=1e-5)
