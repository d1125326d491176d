"""Small motions that several tests use."""

import numpy as np

PARENTS = (
    *(-1, 0, 1, 2, 3, 4, 5, 0, 7, 8, 9, 10, 11, 0, 13, 14, 15, 16, 17, 18),
    *(15, 20, 21, 22, 23, 24, 25, 23, 27, 15, 29, 30, 31, 32, 33, 34, 32, 36),
)


def sequence(width: int = 156, count: int = 4) -> dict[str, np.ndarray]:
    """A person upright in a world whose z points up, facing −y, walking that way; the left elbow bent."""
    poses = np.zeros((count, width))
    poses[:, 0] = np.pi / 2
    poses[:, 3 * 18 + 1] = -1.0
    poses[:, 66:] = 0.3
    trans = np.zeros((count, 3))
    trans[:, 1], trans[:, 2] = -np.arange(count) * 0.01, 5.0
    return {"poses": poses, "trans": trans, "betas": np.zeros(16)}
