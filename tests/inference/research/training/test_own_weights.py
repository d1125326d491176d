"""Networks that users trained themselves, from their checkpoint to a motion."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.cache import Cache
from video_motion.inference.camera.intrinsics import intrinsics
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.conversion import Result, convert_footage, find_people
from video_motion.inference.footage.reader import Footage
from video_motion.inference.models import load_models
from video_motion.inference.options import Options
from video_motion.inference.people import crops, pictures
from video_motion.inference.pose import features
from video_motion.inference.pose.temporal import windows
from video_motion.inference.research.networks.base import Network
from video_motion.inference.research.networks.configurations import configuration
from video_motion.inference.research.networks.encoders import as_crops
from video_motion.inference.research.networks.export import export
from video_motion.inference.research.networks.lifter import Lifter, LifterSettings
from video_motion.inference.research.networks.tar import Tar
from video_motion.inference.research.networks.torch_body import full_translation, sixd_to_matrix, to_local
from video_motion.inference.research.training import train
from video_motion.inference.runtime.session import NetworkError

from .test_pictures import folder, given, name  # noqa: F401  fixtures
from .test_train import assert_refused

SAMPLE = Path(__file__).parents[3] / "sample" / "sample.mp4"
OPTIONS = Options(end=0.8, quality="fast", hands=False, face=False, device="cpu")


def convert(weights: Path | None, network: str, cache: Cache | None = None) -> Result:
    options = dataclasses.replace(OPTIONS, network=network, weights=weights)
    return convert_footage(SAMPLE, options, load_models(options), cache=cache)


def estimate_in(cache: Cache) -> dict[str, np.ndarray]:
    """The network's estimate that a conversion has kept."""
    kept = [dict(np.load(file)) for file in sorted(cache.folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)]
    return [one for one in kept if "rotations" in one and "pelvis" in one][-1]


def make_sensitive(checkpoint: Path) -> None:
    """Let pictures show in all that a network estimates, as after many steps."""
    network, _ = train.load_trained(checkpoint)
    assert isinstance(network, Tar)
    assert network.images is not None
    state = torch.load(checkpoint, weights_only=True)
    rng = np.random.default_rng(0)
    seen = [cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (256, 256)) for _ in range(8)]
    crop = as_crops(torch.from_numpy(np.stack(seen)))
    with torch.no_grad():
        for _ in range(60):
            network.images.train()(crop)
        network.encoder.standardise(network.images.eval()(crop).vector)
        network.initial.second.weight.mul_(40)
        network.refinement.regressors.second.weight.mul_(40)
        # So few channels could all fall silent.
        network.locals.fuse.bias.add_(0.5)
    state["averaged"] |= {f"module.{key}": part for key, part in network.state_dict().items()}
    torch.save(state, checkpoint)


def in_torch(
    network: Network, frame_rate: float, cache: Cache, changed: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and pelvis that a network estimates, its windows made by hand from the footage."""
    options = dataclasses.replace(OPTIONS, network="landmarks")
    (shot,) = find_people(SAMPLE, options, load_models(options), cache=cache)
    (track,) = shot.tracks
    cut = {}
    with Footage(SAMPLE, end=OPTIONS.end) as footage:
        for frame in footage:
            if frame.number in track.frames:
                crop = track.crops[track.frames.tolist().index(frame.number)].astype(float)
                cut[frame.number] = changed(pictures.unpack(pictures.pack(crops.cut(frame.image, crop, 256))))
    settings = network.settings
    stride = max(round(frame_rate / 30), 1)
    rows, _ = windows(track.frames, stride, settings.frames, settings.target)
    K = np.broadcast_to(intrinsics(shot.size, shot.focal), (len(track), 3, 3))
    box = torch.from_numpy(features.box_info(track.crops.astype(float), K)).float()
    seen = {
        "pictures": torch.from_numpy(np.stack([cut[number] for number in track.frames.tolist()])),
        "picture_rows": torch.from_numpy(rows),
        "box": box,
    }
    with torch.no_grad():
        last = network(**network.encode(seen)).estimates[-1]
        local = to_local(sixd_to_matrix(last.sixd)).numpy()
        pelvis = full_translation(torch.cat([last.camera[:, :1].clamp(min=0.1), last.camera[:, 1:]], 1), box).numpy()
    return features.to_camera(local, pelvis, track.crops.astype(float), K)


# Each export takes many seconds; that of HRNet is tested with the encoders.
@pytest.mark.parametrize("name", ["resnet50"], indirect=True)
def test_from_pictures_to_a_motion(name: str, given: Callable[..., list[str]], folder: Path, tmp_path, capsys):  # noqa: F811
    learning = ["--set", "schedule.encoder_rate=1", "--rate", "0.01", "--steps", "3"]
    assert cli.main(given(tmp_path / "run", *learning)) == 0
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    make_sensitive(checkpoint)
    written = ["train", "export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "mine"), "--full"]
    assert cli.main([*written, "--name", "own"]) == 0
    assert sorted(file.name for file in (tmp_path / "mine").iterdir()) == ["own.encoder.onnx", "own.onnx"]
    assert "at most" in capsys.readouterr().out
    cache, own = Cache(tmp_path / "cache"), tmp_path / "mine" / "own.onnx"
    result = convert(own, "tar", cache)
    (motion,) = result.motions
    assert result.report["weights"] == motion.provenance["weights"] == "own.onnx"
    assert np.isfinite(motion.joints_world).all()
    network, _ = train.load_trained(checkpoint)
    kept = estimate_in(cache)
    rotations, pelvis = in_torch(network, float(result.report["frame_rate"]), cache)
    np.testing.assert_allclose(kept["rotations"], rotations, atol=2e-3)
    np.testing.assert_allclose(kept["pelvis"], pelvis, rtol=2e-3, atol=2e-3)
    # Of other pictures it would have said something else.
    upside_down, _ = in_torch(network, float(result.report["frame_rate"]), cache, lambda one: one[::-1].copy())
    assert np.abs(upside_down - rotations).max() > 0.05
    again = convert(own, "tar", cache)
    assert "network" in again.report["reused"]
    np.testing.assert_array_equal(again.motions[0].joints_world, motion.joints_world)
    # Other weights of the same name are other weights, and what the encoder sees shows in what is estimated.
    encoder = tmp_path / "mine" / "own.encoder.onnx"
    proto = onnx.load(encoder)
    (kernel,) = (one for one in proto.graph.initializer if list(one.dims[1:]) == [3, 7, 7])
    kernel.CopyFrom(numpy_helper.from_array(1.5 * numpy_helper.to_array(kernel), kernel.name))
    onnx.save(proto, encoder)
    other = convert(own, "tar", cache)
    assert "network" not in other.report["reused"]
    assert "people" in other.report["reused"]
    assert np.abs(estimate_in(cache)["rotations"] - kept["rotations"]).max() > 0.01
    # It is scored as any other, on training data by their pictures.
    scoring = ["evaluate", "--data", str(folder), "--network", "tar", "--weights", str(own), "--device", "cpu"]
    assert cli.main([*scoring, "--out", str(tmp_path / "scores")]) == 0
    (scores,) = (json.loads(file.read_text())["scores"] for file in (tmp_path / "scores").glob("*.json"))
    assert scores["tar, network alone"]["frames"] == scores["BlazePose"]["frames"]
    assert np.isfinite(scores["tar, network alone"]["PA-MPJPE"])
    encoder.unlink()
    with pytest.raises(NetworkError, match=r"own\.onnx can't be used without own\.encoder\.onnx"):
        convert(own, "tar")


@pytest.fixture(scope="module")
def own(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the user's own without image encoder, not trained."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("own")  # noqa: F811
    network = configuration("cosegmentation-compact").build(body)
    with torch.no_grad():
        network.regressor.step.weight.mul_(30)
    return export(network, folder, "mine")[0]


def test_other_networks_can_be_ones_own_too(own: Path):
    mine, shipped = (convert(weights, "cosegmentation").motions[0] for weights in (own, None))
    assert np.isfinite(mine.joints_world).all()
    assert np.abs(mine.joints_world - shipped.joints_world).max() > 0.01


def test_a_lifter_of_ones_own_lies_beside_its_network(body: Body, tmp_path: Path):
    torch.manual_seed(0)
    lifter = Lifter(LifterSettings(static_width=16, width=16, feedforward=32, layers=1, frame_layers=1, heads=2), body)
    chosen = configuration("cosegmentation-compact")
    sizes = dataclasses.replace(chosen.settings, features=features.SIZE + 16 + 157)
    (file,) = export(dataclasses.replace(chosen, settings=sizes).build(body), tmp_path, "mine")
    with pytest.raises(NetworkError, match=r"mine\.onnx was trained with another lifter .* as mine\.lifter\.onnx\."):
        convert(file, "cosegmentation")
    export(lifter, tmp_path, "mine.lifter")
    assert np.isfinite(convert(file, "cosegmentation").motions[0].joints_world).all()


def test_files_that_can_not_be_used_are_one_sentence(own: Path, body: Body, tmp_path: Path, capsys):
    checkpoint, nothing, broken = tmp_path / "checkpoint.pt", tmp_path / "nothing.onnx", tmp_path / "broken.onnx"
    checkpoint.write_bytes(b"whatever")
    broken.write_bytes(b"no network")
    foreign = registry.path("blazepose_landmark_full")
    for file, network, sentence in (
        (checkpoint, "tar", "write it for use with `video-motion train export"),
        (nothing, "tar", "nothing.onnx does not exist"),
        (broken, "tar", "broken.onnx can't be run as a network"),
        (foreign, "tar", f"{foreign.name} is no network that `video-motion train export` has written"),
        (own, "tar", "mine.onnx holds cosegmentation, not tar: choose cosegmentation"),
        (own, "landmarks", "can't be used by landmarks, which is no network"),
    ):
        options = ["--network", network, "--weights", str(file), "--out", str(tmp_path / "out")]
        assert_refused(["estimate", str(SAMPLE), *options], sentence, capsys)
    assert not (tmp_path / "out").exists()
    scoring = ["evaluate", "--network", "tar", "landmarks", "--weights", str(own)]
    assert_refused(scoring, "mine.onnx holds cosegmentation, which is not scored", capsys)
