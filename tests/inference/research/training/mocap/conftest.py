import numpy as np
import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.research.training.mocap.cmu import NAMES
from video_motion.inference.research.training.mocap.recording import Recording, forward

from .made_up import PARENTS


@pytest.fixture(scope="session")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="session")
def offsets() -> np.ndarray:
    """A made-up person with legs 20° apart, as symmetric as CMU's real ones are not."""
    places = {
        "lfemur": (0.09, -0.1, 0.03),
        "ltibia": (0.14, -0.38, 0.0),
        "lfoot": (0.14, -0.38, 0.0),
        "ltoes": (0.01, -0.03, 0.12),
        "ltoes_end": (0.0, 0.0, 0.06),
        "lhumerus": (0.19, 0.05, -0.01),
        "lradius": (0.27, 0.0, 0.0),
        "lwrist": (0.19, 0.0, 0.0),
        "lhand": (0.09, 0.0, 0.0),
        "lfingers": (0.04, 0.0, 0.0),
        "lfingers_end": (0.03, 0.0, 0.0),
        "lthumb_end": (0.03, 0.0, 0.03),
        **dict.fromkeys(("upperback", "thorax", "lowerneck", "upperneck", "head", "head_end"), (0.0, 0.1, 0.0)),
        "lclavicle": (0.0, 0.1, 0.0),
    }
    out = np.zeros((len(NAMES), 3))
    for number, name in enumerate(NAMES):
        own = places.get(name)
        mirrored = places.get("l" + name[1:]) if name[0] == "r" else None
        if own:
            out[number] = own
        elif mirrored:
            out[number] = np.array(mirrored) * (-1, 1, 1)
    return out


@pytest.fixture
def recording(offsets):
    """A function that makes a recording of local rotations (N, 38, 3, 3) and root positions (N, 3)."""

    def make(local: np.ndarray, root: np.ndarray | None = None, frame_rate: float = 120.0) -> Recording:
        root = np.tile([0.0, 1.0, 0.0], (len(local), 1)) if root is None else root
        turned, placed = forward(PARENTS, offsets, local, root)
        return Recording("made_up", "nobody", frame_rate, NAMES, PARENTS, offsets, turned, placed)

    return make


@pytest.fixture
def still() -> np.ndarray:
    """Local rotations (3, 38, 3, 3) of a skeleton at rest."""
    return np.tile(np.eye(3), (3, len(NAMES), 1, 1))
