from collections import Counter

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.training.mocap.library import Library
from video_motion.inference.research.training.synthesis import motions


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture
def library() -> Library:
    """A rare and a common clip, and one that is too short to be filmed for long."""
    lengths = np.array([400, 400, 70])
    poses = np.concatenate([np.full((length, 24, 3), 0.1 * clip) for clip, length in enumerate(lengths)])
    return Library(
        poses=poses.astype(np.float32),
        trans=np.zeros((len(poses), 3), np.float32),
        starts=np.cumsum([0, *lengths]),
        names=np.array(["rare", "common", "short"]),
        groups=np.array(["a", "b", "c"]),
        weights=np.array([0.1, 0.4, 0.5]),
        frame_rate=60.0,
    )


def performed(library: Library, body: Body, clips: np.ndarray, frames: int) -> Counter:
    rng = np.random.default_rng(2)
    made = [motions.perform(library, clips, body, np.zeros(10), frames, 30.0, rng).name for _ in range(300)]
    return Counter(name for names in made for name in names.split(" + "))


def test_clips_are_chosen_by_weight_and_long_enough_not_to_be_slowed(body, library):
    counts = performed(library, body, np.arange(3), 64)
    assert counts["short"] == 0
    assert counts["common"] / counts["rare"] == pytest.approx(4, rel=0.4)
    assert performed(library, body, np.arange(3), 16)["short"] > 0


def test_short_clips_serve_where_there_are_no_others(body, library):
    assert set(performed(library, body, np.array([2]), 64)) == {"short", "invented"}
