from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from video_motion.inference import registry
from video_motion.inference.body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.people import crops, maps, pictures
from video_motion.inference.pose import features
from video_motion.inference.research.networks import encoders
from video_motion.inference.research.networks.lifter import Lifter, LifterSettings
from video_motion.inference.research.training import shards, staging
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.sequences import LIBRARY

SEQUENCES, FRAMES = 3, 12
WIDTH, HEIGHT, FOCAL = 640, 480, 700.0
LOST = (0, 17, 18)
HIPS = [LANDMARK_NAMES.index(f"{side}_hip") for side in ("left", "right")]


@pytest.fixture(scope="session")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="session")
def performers() -> Library:
    """Six clips of two seconds, of three people who stand and wave their arms, and jump on the spot."""
    n, rate = 120, 60.0
    time = np.arange(n) / rate
    poses, trans = np.zeros((6, n, 24, 3), np.float32), np.zeros((6, n, 3), np.float32)
    for clip in range(6):
        wave = np.sin((2 + clip) * time)
        poses[clip, :, JOINT_NAMES.index("left_shoulder"), 2] = -0.9 + 0.3 * wave
        poses[clip, :, JOINT_NAMES.index("right_shoulder"), 2] = 0.6 + 0.5 * wave
        poses[clip, :, JOINT_NAMES.index("right_elbow"), 1] = 0.5 + 0.4 * wave
        if clip % 2:
            trans[clip, :, 1] = 0.4 * np.abs(np.sin(2 * np.pi * time))
    return Library(
        poses=poses.reshape(-1, 24, 3),
        trans=trans.reshape(-1, 3),
        starts=np.arange(0, 6 * n + 1, n),
        names=np.array(["standing", "jumping"] * 3),
        groups=np.repeat(["a", "b", "c"], 2),
        weights=np.full(6, 1 / 6),
        frame_rate=rate,
    )


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """So few poses are not worth a pool of tens of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "_POOL", 200)
        yield


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory, body: Body, performers: Library) -> Path:
    """A tiny data set of a detector that makes no mistakes, but loses the person in some rows."""
    folder = tmp_path_factory.mktemp("data")
    performers.save(folder / LIBRARY)
    for seed, split in enumerate(("train", "validation")):
        shards.write_shard(folder / split / "000000.npz", make_shard(body, seed))
    return folder


SMALL = {
    "resnet50": lambda: encoders.ResNet50(width=4, blocks=(1, 1, 1, 1), maps=8),
    "hrnet-w48": lambda: encoders.HRNet(width=4, modules=(1, 1, 0), blocks=1),
}
"""Image encoders that take milliseconds, by the names of those whose place they take."""

TINY = LifterSettings(
    static_width=16, width=16, feedforward=32, layers=1, frame_layers=1, heads=2, kernel=3, frames=8, target=4
)
"""A lifter whose windows are shorter than the sequences."""


def tiny_lifter(body: Body) -> Lifter:
    torch.manual_seed(0)
    return Lifter(TINY, body)


def make_shard(body: Body, seed: int) -> shards.Shard:
    rng = np.random.default_rng(seed)
    count = SEQUENCES * FRAMES
    of = np.repeat(np.arange(SEQUENCES), FRAMES)
    phase = np.tile(np.arange(FRAMES) / FRAMES, SEQUENCES)[:, None, None]
    poses = rng.normal(0, 0.25, (SEQUENCES, 24, 3))[of] + 0.1 * np.sin(2 * np.pi * phase) * rng.normal(0, 1, (24, 3))
    # People stand upright: the body's y up is the camera's y down.
    poses[:, 0] = np.array([np.pi, 0, 0]) + rng.normal(0, 0.05, (count, 3))
    trans = np.array([0.3, -0.2, 4.0]) + rng.normal(0, 0.05, (count, 3))
    betas = rng.normal(0, 1, (SEQUENCES, 10))
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    marks = body.landmark_positions(poses, betas[of], trans)
    pixels = marks[..., :2] / marks[..., 2:] * FOCAL + K[:2, 2]
    centre = pixels[:, HIPS].mean(1)
    side = 2.6 * np.linalg.norm(pixels - centre[:, None], axis=-1).max(1)
    crop = np.concatenate([centre, side[:, None], rng.normal(0, 0.2, (count, 1))], axis=1)
    looking = features.crop_axes(crop * [1, 1, 1, 0], np.broadcast_to(K, (count, 3, 3)))
    found = np.ones(count, bool)
    found[list(LOST)] = False
    seen = {
        "landmarks": pixels,
        "visibility": rng.uniform(0.5, 1, (count, 33)),
        "presence": rng.uniform(0.5, 1, (count, 33)),
        # It takes crops for pictures of a camera that looks straight at people.
        "world_landmarks": (marks - marks[:, HIPS].mean(1, keepdims=True)) @ np.swapaxes(looking, 1, 2),
        "crops": crop,
        "boxes": np.concatenate([pixels.min(1), np.ptp(pixels, axis=1)], axis=1),
        "scores": rng.uniform(0.8, 1, count),
    }
    packed = [maps.pack(draw_maps(pixels[row], crop[row])) if found[row] else b"" for row in range(count)]
    return shards.Shard(
        sequence_starts=np.arange(0, count + 1, FRAMES),
        names=np.array(["still"] * SEQUENCES),
        detectors=np.array(["fast", "best", "fast"]),
        betas=betas.astype(np.float32),
        camera_K=np.tile(K, (SEQUENCES, 1, 1)),
        image_size=np.tile([WIDTH, HEIGHT], (SEQUENCES, 1)),
        frame_rate=np.array([25.0, 30.0, 60.0]),
        timestamps=np.tile(np.arange(FRAMES) / 30, SEQUENCES),
        poses=poses.astype(np.float32),
        trans=trans.astype(np.float32),
        camera_turns=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        camera_moves=np.zeros((count, 3), np.float32),
        gravity=np.tile(np.array([0, 1, 0], np.float32), (count, 1)),
        contacts=rng.random((count, 4)) < 0.5,
        found=found,
        heatmap_starts=np.cumsum([0, *map(len, packed)]),
        heatmaps=np.frombuffer(b"".join(packed), np.uint8),
        **{
            key: (values * found.reshape(-1, *[1] * (values.ndim - 1))).astype(np.float32)
            for key, values in seen.items()
        },
    )


def draw_maps(pixels: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """One bright cell for each landmark."""
    drawn = np.zeros(maps.SHAPE, np.uint8)
    cells = np.floor(crops.from_image(pixels, crop) * maps.SHAPE[-1]).astype(int)
    drawn[np.arange(33), cells[:, 1], cells[:, 0]] = 255
    return drawn


def with_roi_views(shard: shards.Shard, rng: np.random.Generator, every: int = 3) -> shards.Shard:
    """The shard with made-up detections in the other regions, by default in every third frame."""
    looked = shard.found & (np.arange(len(shard)) % every == 0)
    found = {}
    for name in ("landmarks", "visibility", "presence", "world_landmarks", "scores"):
        values = getattr(shard, name)
        made = values[:, None] + rng.normal(0, 0.01, (len(shard), crops.ROI_VIEWS, *values.shape[1:]))
        found[f"look_{name}"] = made
    found["look_crops"] = np.stack([crops.roi_crops(crop) for crop in shard.crops])
    seen = {
        name: np.where(looked.reshape(-1, *[1] * (values.ndim - 1)), values, 0).astype(np.float32)
        for name, values in found.items()
    }
    return replace(shard, looked=looked, **seen)


MARK = LANDMARK_NAMES.index("left_wrist")


def with_pictures(shard: shards.Shard) -> shards.Shard:
    """The shard with pictures of a red spot at the left wrist, before a grey that differs from row to row."""
    drawn = [b""] * len(shard)
    for row in np.flatnonzero(shard.found):
        picture = np.full(pictures.SHAPE, 40 + 5 * row, np.uint8)
        x, y = (256 * crops.from_image(shard.landmarks[row, MARK], shard.crops[row])).round().astype(int).tolist()
        cv2.circle(picture, (x, y), 6, (0, 0, 255), -1)
        drawn[row] = pictures.pack(picture)
    starts = np.cumsum([0, *map(len, drawn)])
    return replace(shard, picture_starts=starts, pictures=np.frombuffer(b"".join(drawn), np.uint8))
