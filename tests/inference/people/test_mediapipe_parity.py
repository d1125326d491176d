"""Against MediaPipe's own answers, which are recorded in tests/data/mediapipe."""

import numpy as np
import pytest
from video_motion.inference.footage.reader import Frame
from video_motion.inference.people.tracker import track_people
from video_motion.inference.research.comparison import mediapipe_reference, recorded

TORSO = [11, 12, 23, 24]


@pytest.mark.parametrize("name", list(recorded.CLIPS))
def test_agrees_with_mediapipe_within_two_pixels(blazepose, name):
    images = recorded.CLIPS[name].images()
    theirs = recorded.load(name)
    assert np.isfinite(theirs.landmarks).all()
    frames = (Frame(i, i / mediapipe_reference.FRAME_RATE, image) for i, image in enumerate(images))
    main = track_people(frames, blazepose)[0]
    np.testing.assert_array_equal(main.frames, np.arange(len(images)))
    distance = np.linalg.norm(main.landmarks - theirs.landmarks, axis=2)
    assert np.median(distance) < 2
    assert np.median(distance[:, TORSO]) < 2
    assert np.median(np.linalg.norm(main.world_landmarks - theirs.world_landmarks, axis=2)) < 0.02


@pytest.mark.mediapipe
@pytest.mark.parametrize("name", list(recorded.CLIPS))
def test_recorded_answers_are_those_of_mediapipe_itself(name):
    answers, theirs = recorded.load(name), recorded.run(recorded.CLIPS[name])
    np.testing.assert_allclose(answers.landmarks, theirs.landmarks, atol=0.5)
    np.testing.assert_allclose(answers.world_landmarks, theirs.world_landmarks, atol=0.005)


def test_the_recorded_version_is_the_one_that_bench_runs():
    requirements = mediapipe_reference.ENVIRONMENT.requirements_file.read_text(encoding="utf-8")
    assert f"\nmediapipe=={mediapipe_reference.VERSION}\n" in requirements
