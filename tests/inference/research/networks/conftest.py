import pytest
from video_motion.inference import registry
from video_motion.inference.body.smpl import Body


@pytest.fixture(scope="session")
def body() -> Body:
    return Body.load(registry.body_path())
