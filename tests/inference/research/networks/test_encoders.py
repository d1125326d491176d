import pytest
import torch
from video_motion.inference.research.networks import encoders
from video_motion.inference.research.networks.configurations import configuration, names
from video_motion.inference.research.networks.export import compare, write_onnx

SMALL = {
    "resnet50": lambda: encoders.ResNet50(width=4, blocks=(1, 1, 1, 1), maps=8),
    "hrnet-w48": lambda: encoders.HRNet(width=4, modules=(1, 1, 0), blocks=1),
}

PUBLISHED = {
    "resnet50": [
        ("conv1.weight", (64, 3, 7, 7)),
        ("layer1.0.downsample.0.weight", (256, 64, 1, 1)),
        ("layer2.0.conv2.weight", (128, 128, 3, 3)),
        ("layer4.2.bn3.running_var", (2048,)),
    ],
    "hrnet-w48": [
        ("conv2.weight", (64, 64, 3, 3)),
        ("layer1.0.downsample.1.weight", (256,)),
        ("transition1.0.0.weight", (48, 256, 3, 3)),
        ("transition1.1.0.0.weight", (96, 256, 3, 3)),
        ("transition3.3.0.0.weight", (384, 192, 3, 3)),
        ("stage3.3.branches.2.3.conv2.weight", (192, 192, 3, 3)),
        ("stage4.2.fuse_layers.0.3.0.weight", (48, 384, 1, 1)),
        ("stage4.2.fuse_layers.3.0.2.0.weight", (384, 48, 3, 3)),
    ],
}
"""Some names and shapes of the public state dicts."""


@pytest.fixture(scope="module", params=encoders.ENCODERS)
def name(request) -> str:
    return request.param


def test_names_and_shapes_are_the_published(name):
    with torch.device("meta"):
        encoder = encoders.ENCODERS[name]()
    state = encoder.state_dict()
    for parameter, shape in PUBLISHED[name]:
        assert state[parameter].shape == shape
    if name == "resnet50":
        published = sum(part.numel() for key, part in encoder.named_parameters() if not key.startswith("deconv"))
        assert published == 25_557_032 - 2_049_000  # torchvision's without its classifier


def test_configurations_fit(name):
    (settings,) = (one for one in (configuration(each).settings for each in names()) if one.encoder == name)
    with torch.device("meta"):
        encoded = encoders.ENCODERS[name]()(torch.empty(1, 3, 256, 256))
    assert encoded.vector.shape == (1, settings.features)
    assert encoded.maps.shape == (1, settings.maps, 64, 64)


def test_public_state_dicts_load(name):
    encoder, other = SMALL[name](), SMALL[name]()
    state = {key: value for key, value in other.state_dict().items() if not key.startswith(encoder.trained_here)}
    assert encoders.load_public_weights(encoder, {**state, "fc.weight": torch.zeros(2)}) == ["fc.weight"]
    torch.testing.assert_close(encoder.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
    del state["layer1.0.conv1.weight"]
    with pytest.raises(KeyError, match="layer1"):
        encoders.load_public_weights(encoder, state)


def test_windows_are_looked_at_frame_by_frame(name):
    encoder = SMALL[name]().eval()
    crops = torch.randint(0, 256, (2, 5, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        vectors, maps = encoders.encode_windows(encoder, crops, 3)
        one = encoder(crops[1, 2:3].float() / 255)
    assert maps.shape[:2] == (2, 3)
    torch.testing.assert_close(vectors[1, 2:3], one.vector, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(maps[1, 1:2], one.maps, atol=1e-5, rtol=1e-4)


def test_parity(name, tmp_path):
    torch.manual_seed(0)
    encoder = SMALL[name]()
    path = tmp_path / "encoder.onnx"
    write_onnx(encoder, {"crops": torch.rand(2, 3, 64, 64)}, ["vector", "maps"], path, {"encoder": name})
    assert max(compare(encoder, path, {"crops": torch.rand(batch, 3, 64, 64)}) for batch in (1, 3)) < 1e-4
