from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.body.skeleton import PARENTS
from video_motion.inference.body.smpl import Body


@pytest.fixture(scope="session")
def smpl_arrays() -> dict[str, np.ndarray]:
    """Arrays with the names and shapes of a licensed SMPL file; the numbers are random."""
    rng = np.random.default_rng(5)
    regressor = np.zeros((24, 6890))
    regressor[np.arange(24)[:, None], rng.integers(0, 6890, (24, 8))] = 0.125
    weights = rng.uniform(size=(6890, 24)) ** 8
    return {
        "v_template": rng.normal(size=(6890, 3)),
        "shapedirs": 0.02 * rng.normal(size=(6890, 3, 10)),
        "posedirs": 0.002 * rng.normal(size=(6890, 3, 207)),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], list(range(24))], dtype=np.int64),
        "f": rng.integers(0, 6890, (13776, 3)).astype(np.uint32),
    }


@pytest.fixture(scope="session")
def smpl_file(smpl_arrays, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("body") / "SMPL_NEUTRAL.npz"
    np.savez(path, allow_pickle=False, **smpl_arrays)
    return path


@pytest.fixture(scope="session")
def smpl(smpl_file) -> Body:
    return Body.load(smpl_file)
