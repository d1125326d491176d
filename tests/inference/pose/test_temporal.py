"""Windows along a track, and a network run over them in ONNX Runtime against the same in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.people.maps import MapStore
from video_motion.inference.people.track import Track
from video_motion.inference.pose import features
from video_motion.inference.pose.temporal import TemporalNetwork, VideoContext, windows
from video_motion.inference.research.networks.export import export
from video_motion.inference.research.networks.tar import Tar, TarSettings
from video_motion.inference.research.networks.torch_body import full_translation, sixd_to_matrix, to_local
from video_motion.inference.runtime.session import NetworkError, Session

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
TINY = TarSettings(
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
    n = len(frames)
    store = MapStore()
    kept = np.zeros((n, 40, 64, 64), np.uint8)
    kept[:, :, 20:40, 20:40] = rng.integers(0, 255, (n, 40, 20, 20))
    numbers = np.array([store.add(one) for one in kept])
    middle = np.stack([600 + 2.0 * frames, 300 + 0 * frames, 400 + frames, 0.01 * frames], axis=1)
    track = Track(
        number=1,
        frames=frames,
        timestamps=frames / 25,
        landmarks=middle[:, None, :2] + rng.normal(0, 80, (n, 33, 2)),
        visibility=rng.uniform(0.2, 1, (n, 33)),
        presence=rng.uniform(0.2, 1, (n, 33)),
        world_landmarks=rng.normal(0, 0.4, (n, 33, 3)),
        crops=middle,
        boxes=np.zeros((n, 4)),
        scores=np.ones(n),
        maps=numbers,
    )
    return track, store


def test_windows_worked_by_hand():
    rows, known, offsets = windows(np.array([3, 4, 6, 7]), np.array([3, 4, 6, 7]) / 25, 5, 2)
    # Around frame 4 lie 2, 3, 4, 5 and 6: the first is not there and the fourth was missed.
    np.testing.assert_array_equal(rows[1], [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(known[1], [False, True, True, False, True])
    np.testing.assert_array_equal(rows[3], [2, 2, 3, 3, 3])
    np.testing.assert_array_equal(known[3], [False, True, True, False, False])
    np.testing.assert_allclose(offsets[0], np.arange(-2, 3) / 25)


def test_fast_footage_is_seen_at_the_usual_rate():
    frames = np.arange(40)
    rows, known, offsets = windows(frames, frames / 60, 9, 4)
    np.testing.assert_array_equal(rows[20], 20 + 2 * np.arange(-4, 5))
    assert known[20].all()
    np.testing.assert_allclose(offsets[20], np.arange(-4, 5) / 30)


def test_a_lone_frame_is_its_own_window():
    rows, known, _ = windows(np.array([7]), np.array([0.3]), 9, 4)
    assert (rows == 0).all()
    assert known.sum() == 1


def test_along_a_track_the_engine_says_what_torch_says(network: Tar, files: list[Path], seen: tuple[Track, MapStore]):
    track, store = seen
    estimate = TemporalNetwork(files[1], files[0], "cpu").estimate(track, VideoContext(K, store))
    rows, known, offsets = windows(track.frames, track.timestamps, 9, 4)
    camera = np.broadcast_to(K, (len(track), 3, 3))
    arrays = (getattr(track, name)[rows] for name in ("landmarks", "visibility", "presence", "world_landmarks"))
    frames = features.window_features(*arrays, track.scores[rows], track.crops[rows], offsets, known, camera)
    box = torch.from_numpy(features.box_info(track.crops, camera)).float()
    maps = torch.from_numpy(store.read(track.maps))[torch.from_numpy(rows[:, 2:7].copy())]
    with torch.no_grad():
        last = network(torch.from_numpy(frames), box, maps).estimates[-1]
        local = to_local(sixd_to_matrix(last.sixd)).numpy()
        pelvis = full_translation(last.camera, box).numpy()
    expected, there = features.unroll(local, pelvis, track.crops)
    np.testing.assert_allclose(estimate.rotations, expected, atol=1e-4)
    np.testing.assert_allclose(estimate.pelvis, there, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(estimate.betas, last.betas.numpy(), atol=1e-4)


def test_every_input_of_a_window_counts(files: list[Path], seen: tuple[Track, MapStore]):
    """Neither landmarks nor maps may be lost on the way into the network."""
    track, store = seen
    engine = TemporalNetwork(files[1], files[0], "cpu")
    before = engine.estimate(track, VideoContext(K, store))
    again = engine.estimate(track, VideoContext(K, store))
    np.testing.assert_array_equal(before.rotations, again.rotations)
    other = MapStore()
    for number in track.maps:
        other.add(np.roll(store.read([number])[0], 9, axis=2))
    changed = np.abs(engine.estimate(track, VideoContext(K, other)).rotations - before.rotations).max()
    assert changed > 1e-6


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


def test_weights_for_other_features_are_refused(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, "VERSION", 99)
    with pytest.raises(NetworkError, match="another version"):
        TemporalNetwork(files[1], files[0], "cpu")
