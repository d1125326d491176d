"""Windows along a track, and a network run over them in ONNX Runtime against the same in torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.people.maps import MapStore
from video_motion.inference.people.track import Track
from video_motion.inference.pose import features, temporal
from video_motion.inference.pose.lifting import Lifter, window_stride
from video_motion.inference.pose.temporal import TemporalNetwork, VideoContext, windows
from video_motion.inference.research.networks.export import export
from video_motion.inference.research.networks.tar import Tar, TarSettings
from video_motion.inference.research.networks.torch_body import full_translation, sixd_to_matrix, to_local
from video_motion.inference.runtime.session import NetworkError, Session

from .conftest import K, track_of

TINY = TarSettings(
    features=features.SIZE + 16 + 157,
    static_width=32,
    width=32,
    feedforward=32,
    layers=1,
    heads=2,
    state_layer=32,
    state_width=4,
    local_channels=4,
    local_size=32,
    hidden_size=16,
    iterations=1,
)


@pytest.fixture(scope="module")
def network() -> Tar:
    torch.manual_seed(3)
    made = Tar(TINY, Body.load(registry.body_path())).eval()
    with torch.no_grad():
        # Large enough that every input shows in the output.
        for part in made.parameters():
            part.mul_(1.5)
        made.refinement.regressors.second.weight.mul_(20)
        # So few channels could all fall silent.
        made.locals.fuse.bias.add_(0.5)
    return made


@pytest.fixture(scope="module")
def files(network: Tar, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The file for frames and the one for windows."""
    return export(network, tmp_path_factory.mktemp("weights"), "tiny", half=False)


@pytest.fixture(scope="module")
def seen() -> tuple[Track, MapStore]:
    """A track of 150 frames with two gaps."""
    rng = np.random.default_rng(5)
    frames = np.delete(np.arange(10, 165), [30, 31, 32, 70, 71])
    store = MapStore()
    kept = np.zeros((len(frames), 40, 64, 64), np.uint8)
    kept[:, :, 20:40, 20:40] = rng.integers(0, 255, (len(frames), 40, 20, 20))
    return track_of(frames, 25, np.array([store.add(one) for one in kept])), store


@pytest.fixture(scope="module")
def engine(lifter_file: Path, files: list[Path]) -> TemporalNetwork:
    return TemporalNetwork(lifter_file, files[1], files[0], "cpu")


def test_windows_worked_by_hand():
    rows, known = windows(np.array([3, 4, 6, 7]), 1, 5, 2)
    # Around frame 4 lie 2, 3, 4, 5 and 6: the first is not there and the fourth was missed.
    np.testing.assert_array_equal(rows[1], [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(known[1], [False, True, True, False, True])
    np.testing.assert_array_equal(rows[3], [2, 2, 3, 3, 3])
    np.testing.assert_array_equal(known[3], [False, True, True, False, False])


def test_fast_footage_is_seen_at_the_usual_rate():
    frames = np.arange(40)
    rows, known = windows(frames, window_stride(frames, frames / 60), 9, 4)
    np.testing.assert_array_equal(rows[20], 20 + 2 * np.arange(-4, 5))
    assert known[20].all()


def test_a_lone_frame_is_its_own_window():
    rows, known = windows(np.array([7]), 1, 9, 4)
    assert (rows == 0).all()
    assert known.sum() == 1


def test_along_a_track_the_engine_says_what_torch_says(
    network: Tar,
    engine: TemporalNetwork,
    lifter_file: Path,
    seen: tuple[Track, MapStore],
    monkeypatch: pytest.MonkeyPatch,
):
    track, store = seen
    # Local features of three windows at once.
    monkeypatch.setattr(temporal, "_LOCAL_BYTES", 3 * 5 * 4 * 16 * 16 * 4)
    estimate = engine.estimate(track, VideoContext(K, store))
    rows, known = windows(track.frames, 1, 9, 4)
    lifted = Lifter(lifter_file, "cpu").lift(track, K)
    frames = lifted.frames[rows]
    frames[..., features.KNOWN] = known
    camera = np.broadcast_to(K, (len(track), 3, 3))
    box = torch.from_numpy(features.box_info(track.crops, camera)).float()
    maps = torch.from_numpy(store.read(track.maps))[torch.from_numpy(rows[:, 2:7].copy())]
    with torch.no_grad():
        last = network(torch.from_numpy(frames), box, maps).estimates[-1]
        local = to_local(sixd_to_matrix(last.sixd)).numpy().astype(float)
        pelvis = full_translation(last.camera, box).numpy()
    # Turned back into the camera's axes: crop axes' rows are where those of the crop's camera point.
    axes = features.crop_axes(track.crops, camera)
    local[:, 0] = np.swapaxes(axes, 1, 2) @ local[:, 0]
    np.testing.assert_allclose(estimate.rotations, local, atol=1e-4)
    there = np.einsum("nji,nj->ni", axes, pelvis)
    np.testing.assert_allclose(estimate.pelvis, there, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(estimate.betas, last.betas.numpy(), atol=1e-4)
    np.testing.assert_array_equal(estimate.sigma, lifted.sigma)
    np.testing.assert_array_equal(estimate.contacts, lifted.contacts)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", axes, estimate.gravity), lifted.gravity, atol=1e-6)


def test_every_input_of_a_window_counts(engine: TemporalNetwork, seen: tuple[Track, MapStore]):
    """Neither landmarks nor maps may be lost on the way into the network."""
    track, store = seen
    before = engine.estimate(track, VideoContext(K, store))
    again = engine.estimate(track, VideoContext(K, store))
    np.testing.assert_array_equal(before.rotations, again.rotations)
    other = MapStore()
    for number in track.maps:
        other.add(np.roll(store.read([number])[0], 9, axis=2))
    changed = np.abs(engine.estimate(track, VideoContext(K, other)).rotations - before.rotations).max()
    assert changed > 1e-6
    moved = replace(track, landmarks=track.landmarks + np.random.default_rng(0).normal(0, 20, track.landmarks.shape))
    assert np.abs(engine.estimate(moved, VideoContext(K, store)).rotations - before.rotations).max() > 1e-4


def test_files_that_are_no_networks_are_named(tmp_path: Path):
    with pytest.raises(NetworkError, match=r"nothing\.onnx does not exist"):
        Session(tmp_path / "nothing.onnx", "cpu")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(NetworkError, match="may be damaged"):
        Session(broken, "cpu")


def test_cuda_is_refused_where_there_is_none(files: list[Path]):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("This build of ONNX Runtime has CUDA.")
    assert Session(files[1], "auto").device == "cpu"
    with pytest.raises(NetworkError, match="onnxruntime-gpu"):
        Session(files[1], "cuda")


def test_weights_for_other_features_are_refused(lifter_file: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch):
    engine = Lifter(lifter_file, "cpu")
    monkeypatch.setattr("video_motion.inference.pose.temporal.Lifter", lambda *_: engine)
    monkeypatch.setattr(features, "VERSION", 99)
    with pytest.raises(NetworkError, match=r"tiny\.onnx was made for another version"):
        TemporalNetwork(lifter_file, files[1], files[0], "cpu")
