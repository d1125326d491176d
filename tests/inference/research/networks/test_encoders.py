from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.people.pictures import SHAPE
from video_motion.inference.pose import features
from video_motion.inference.pose.temporal import TemporalNetwork, VideoContext, windows
from video_motion.inference.research.networks import encoders
from video_motion.inference.research.networks.base import Network
from video_motion.inference.research.networks.configurations import configuration, names
from video_motion.inference.research.networks.export import check_parity, compare, export, write_onnx
from video_motion.inference.research.networks.inputs import example
from video_motion.inference.research.networks.torch_body import sixd_to_matrix, to_local
from video_motion.inference.runtime.session import NetworkError, Session

from ...pose.conftest import K, track_of
from ..training.conftest import SMALL

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


def tiny(name: str, network: str, body: Body, monkeypatch: pytest.MonkeyPatch):
    """A small TAR or co-segmentation network with a small encoder."""
    monkeypatch.setitem(encoders.ENCODERS, name, SMALL[name])
    torch.manual_seed(0)
    encoder = SMALL[name]()
    sizes = {"encoder": name, "features": encoder.features, "static_width": 32}
    if network == "tar":
        sizes |= {"maps": encoder.channels, "width": 32, "feedforward": 32, "layers": 1, "heads": 2, "state_layer": 32}
        sizes |= {"state_width": 8, "local_channels": 4, "hidden_size": 16, "iterations": 1, "local_window": 3}
    chosen = configuration(f"{network}-compact")
    return replace(chosen, settings=replace(chosen.settings, **sizes)).build(body)


@pytest.mark.parametrize("network", ["tar", "cosegmentation"])
def test_a_network_sees_each_frame_of_its_windows(name, network, body, monkeypatch):
    made = tiny(name, network, body, monkeypatch).eval()
    assert made.sees == ("pictures", "picture_rows", "box")
    seen = example(made.sees, made.settings, 2, 0)
    # A frame in both windows, and one that is none of them.
    seen["picture_rows"][1] += -2
    inputs = made.encode(seen)
    length, target = made.settings.frames, made.settings.target
    picture = seen["pictures"][seen["picture_rows"][1, target]]
    with torch.no_grad():
        one = made.images(picture.flip(-1).permute(2, 0, 1)[None].float() / 255)
    assert inputs["frames"].shape == (2, length, made.settings.features)
    torch.testing.assert_close(inputs["frames"][1, target][None], one.vector, atol=1e-4, rtol=1e-3)
    if network == "tar":
        local = made.encode_local(one.maps)
        assert inputs["local"].shape == (2, 3, *local.shape[1:])
        torch.testing.assert_close(inputs["local"][1, 1][None], local, atol=1e-4, rtol=1e-3)
        # The whole network, from what a public user of its parts would give it.
        apart = made(inputs["frames"], inputs["box"], local=inputs["local"]).estimates[-1].flat()
        torch.testing.assert_close(made(**inputs).estimates[-1].flat(), apart)
    else:
        assert set(inputs) == {"frames", "box"}


def test_a_frozen_encoder_stays_as_it_is(name, body, monkeypatch):
    made = tiny(name, "tar", body, monkeypatch).train()
    seen = example(made.sees, made.settings, 2, 0)

    def learnt(rate: float) -> set[str]:
        before = {key: part.clone() for key, part in made.images.state_dict().items()}
        optimizer = torch.optim.SGD([part for part in made.parameters() if part.requires_grad], lr=rate)
        made.train()(**made.encode(seen)).estimates[-1].flat().square().sum().backward()
        optimizer.step()
        after = made.images.state_dict()
        return {key for key, part in before.items() if not torch.equal(part, after[key]) and "tracked" not in key}

    everything = learnt(1e-3)
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv2.weight"} <= everything
    made.images.freeze()
    new = learnt(1e-3)
    # What public weights lack has to be learnt.
    assert all(key.startswith(made.images.trained_here) for key in new)
    assert bool(new) == (name == "resnet50")


@pytest.mark.parametrize("network", ["tar", "cosegmentation"])
def test_exported_parts_agree_with_torch(name, network, body, monkeypatch, tmp_path):
    made = tiny(name, network, body, monkeypatch).eval()
    with torch.no_grad():
        # Statistics as after training, so that what is seen shows in the output.
        made.train().encode(example(made.sees, made.settings, 2, 0))
    files = export(made.eval(), tmp_path, "mine")
    assert [file.name for file in files] == ["mine.encoder.onnx", "mine.onnx"]
    assert check_parity(made, tmp_path, "mine", batches=(1, 3)) < 1e-3
    for file in files:
        assert Session(file, "cpu").properties["network"] == network
    outputs = Session(files[0], "cpu").outputs
    assert outputs == (("vector", "local") if network == "tar" else ("vector",))
    along_a_track(made, files[1])


def along_a_track(made: Network, file: Path) -> None:
    """In use each frame is seen once, and windows say what torch says of them."""
    frames = np.delete(np.arange(3, 45), [9, 10])
    track, seen = track_of(frames, 30), []
    shown = np.random.default_rng(0).integers(0, 256, (len(frames), *SHAPE), dtype=np.uint8)
    reader = SimpleNamespace(read=lambda rows: seen.extend(rows) or shown[rows])
    engine = TemporalNetwork(registry.path("lifter"), file, device="cpu")
    estimate = engine.estimate(track, VideoContext(K, pictures=reader))
    assert sorted(seen) == list(range(len(frames)))
    rows, _ = windows(frames, 1, made.settings.frames, made.settings.target)
    camera = np.broadcast_to(K, (len(frames), 3, 3))
    box = torch.from_numpy(features.box_info(track.crops, camera)).float()
    inputs = {"pictures": torch.from_numpy(shown), "picture_rows": torch.from_numpy(rows), "box": box}
    with torch.no_grad():
        last = made(**made.encode(inputs)).estimates[-1]
        local = to_local(sixd_to_matrix(last.sixd)).numpy().astype(float)
    axes = features.crop_axes(track.crops, camera)
    local[:, 0] = np.swapaxes(axes, 1, 2) @ local[:, 0]
    # The file's weights are rounded.
    np.testing.assert_allclose(estimate.rotations, local, atol=5e-3)
    with pytest.raises(NetworkError, match="needs pictures of people, which were not cut out"):
        engine.estimate(track, VideoContext(K))


def test_sizes_that_do_not_fit_are_named(name, body):
    chosen = configuration("tar-compact")
    misfit, unknown = (replace(chosen, settings=replace(chosen.settings, encoder=encoder)) for encoder in (name, "eye"))
    with pytest.raises(ValueError, match=f"features=588 where {name} gives"):
        misfit.build(body)
    with pytest.raises(ValueError, match=f"encoder=eye is none of blazepose, {', '.join(encoders.ENCODERS)}"):
        unknown.build(body)


def test_parity(name, tmp_path):
    torch.manual_seed(0)
    encoder = SMALL[name]()
    path = tmp_path / "encoder.onnx"
    write_onnx(encoder, {"crops": torch.rand(2, 3, 64, 64)}, ["vector", "maps"], path, {"encoder": name})
    assert max(compare(encoder, path, {"crops": torch.rand(batch, 3, 64, 64)}) for batch in (1, 3)) < 1e-4
