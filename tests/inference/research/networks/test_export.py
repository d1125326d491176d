import json
from dataclasses import asdict, replace

import onnx
import pytest
import torch
from video_motion.inference.pose import features
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.export import ExportError, check_parity, export, read_weights
from video_motion.inference.research.networks.lifter import Lifter
from video_motion.inference.research.networks.tar import Tar
from video_motion.inference.runtime.session import Session

# Tracing takes longer with each repeated part; one repetition shows as much as many.
SETTINGS = replace(configuration("tar-compact").settings, layers=1, iterations=1)
LIFTER = replace(configuration("lifter-compact").settings, width=32, feedforward=48, layers=1)


def learned(settings, body) -> Tar:
    """A network whose refinement moves its estimates as far as a trained one's."""
    torch.manual_seed(0)
    network = Tar(settings, body).eval()
    with torch.no_grad():
        network.initial.second.weight.mul_(5)
        if settings.refine:
            network.refinement.regressors.second.weight.mul_(20)
    return network


@pytest.fixture(scope="module")
def network(body) -> Tar:
    return learned(SETTINGS, body)


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export(network, folder, "tar-compact")
    return folder


def test_parity(network, folder):
    assert check_parity(network, folder, "tar-compact", batches=(1, 2, 5)) < 1e-4


def test_files(network, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["tar-compact.local.onnx", "tar-compact.onnx"]
    numbers = sum(part.numel() for part in network.parameters())
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2.3 * numbers
    for path in folder.iterdir():
        properties = Session(path, "cpu").properties
        assert properties["configuration"] == "tar-compact"
        assert json.loads(properties["settings"]) == asdict(SETTINGS)
        assert properties["features"] == str(features.VERSION)


def test_float16_changes_little(network, folder):
    window = Session(folder / "tar-compact.onnx", "cpu")
    rng = torch.Generator().manual_seed(3)
    frames, box = torch.randn(4, 9, SETTINGS.features, generator=rng), torch.randn(4, 3, generator=rng)
    # People are in front of the camera: s is positive.
    frames[..., -3] = 1.0
    local = torch.rand(4, 5, 16, 16, 16, generator=rng)
    _, betas, camera = window(frames=frames.numpy(), box=box.numpy(), local=local.numpy())
    with torch.no_grad():
        last = network(frames, box, local=local).estimates[-1]
    torch.testing.assert_close(torch.from_numpy(betas), last.betas, atol=5e-3, rtol=0)
    torch.testing.assert_close(torch.from_numpy(camera), last.camera, atol=5e-3, rtol=0)


def test_without_refinement_there_is_one_file_in_float32(body, tmp_path):
    network = learned(replace(SETTINGS, refine=False, global_temporal=False), body)
    (path,) = export(network, tmp_path, "plain", half=False)
    assert [one.name for one in onnx.load(path).graph.input] == ["frames", "box"]
    assert check_parity(network, tmp_path, "plain") < 1e-4
    types = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in types


def test_weights_come_back_from_files(body, tmp_path):
    trained = Lifter(LIFTER, body)
    for part in trained.parameters():
        torch.nn.init.normal_(part, std=0.2)
    export(trained, tmp_path, "lifter-compact")
    found = read_weights(tmp_path / "lifter-compact.onnx", Lifter(LIFTER, body))
    assert set(found) == set(trained.state_dict())
    fresh = Lifter(LIFTER, body).eval()
    fresh.load_state_dict(found)
    frames = torch.randn(2, LIFTER.frames, LIFTER.features)
    with torch.no_grad():
        torch.testing.assert_close(fresh.describe(frames), trained.eval().describe(frames), atol=0.02, rtol=0.02)


def test_weights_of_another_network_are_refused(network, folder, body):
    with pytest.raises(ExportError, match="holds a network of another kind"):
        read_weights(folder / "tar-compact.onnx", Lifter(LIFTER, body))
