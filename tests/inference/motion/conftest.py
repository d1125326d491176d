import pytest
from video_motion.inference import estimators, registry
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.footing import Footing


@pytest.fixture(scope="session")
def body() -> Body:
    return Body.load(registry.body_path())


@pytest.fixture(scope="session")
def footing() -> Footing:
    return Footing.load(registry.path(estimators.FOOTING))
