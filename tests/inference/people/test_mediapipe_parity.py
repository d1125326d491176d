"""Against MediaPipe itself, in an environment of its own."""

from pathlib import Path

import numpy as np
import pytest
from video_motion.inference.footage.reader import Footage, Frame
from video_motion.inference.people.tracker import track_people
from video_motion.inference.research.comparison import mediapipe_reference as reference
from video_motion.inference.research.comparison.mediapipe_reference import FRAME_RATE, MediaPipe

SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "sample.mp4"
TORSO = [11, 12, 23, 24]


@pytest.fixture(scope="module")
def mediapipe_python(capfd_disabled) -> Path:
    try:
        with capfd_disabled():
            return reference.interpreter()
    except reference.MediaPipeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def capfd_disabled(request):
    """Lets the progress line of the set-up through."""
    return request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled


@pytest.mark.parametrize("name", ["real", "rendered"])
def test_agrees_with_mediapipe_within_two_pixels(blazepose, clip, mediapipe_python, name):
    # The rendered person of the sample is wholly in the picture from frame 25 on.
    frames = clip if name == "real" else [frame for frame in Footage(SAMPLE) if 40 <= frame.number < 85]
    images = [frame.image for frame in frames]
    height, width = images[0].shape[:2]
    with MediaPipe(mediapipe_python, (width, height)) as mediapipe:
        answers = [mediapipe(image) for image in images]
    landmarks, world = np.array([a[0] for a in answers]), np.array([a[1] for a in answers])
    assert np.isfinite(landmarks).all()
    main = track_people((Frame(i, i / FRAME_RATE, image) for i, image in enumerate(images)), blazepose)[0]
    np.testing.assert_array_equal(main.frames, np.arange(len(images)))
    distance = np.linalg.norm(main.landmarks - landmarks, axis=2)
    assert np.median(distance) < 2
    assert np.median(distance[:, TORSO]) < 2
    assert np.median(np.linalg.norm(main.world_landmarks - world, axis=2)) < 0.02
