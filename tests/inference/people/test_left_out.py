"""Who is kept although rechecks doubt them at times, and who is left out and why."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.footage.reader import Frame
from video_motion.inference.people import clothing, left_out, reasons, tracker, trust
from video_motion.inference.people.left_out import LeftOut
from video_motion.inference.people.target import RECHECK_ROWS, Target
from video_motion.inference.people.tracker import Tracker, chunks

BACK, BACK_BOX = Path(__file__).resolve().parents[2] / "data" / "back.jpg", (144, 82, 92, 228)
RATE = 25.0
VIDEO = Path("clip.mp4")


def follow(blazepose, images) -> Tracker:
    following = Tracker(blazepose)
    for chunk in chunks((Frame(number, number / RATE, image) for number, image in enumerate(images)), 2):
        list(following.steps(chunk))
    return following


def test_who_turns_the_back_through_the_whole_clip_is_kept(blazepose):
    """A rendered woman; the first two rechecks doubt her, and her score is 0.99."""
    (track,) = follow(blazepose, [cv2.imread(str(BACK))] * 60).tracks()
    assert len(track) == 60
    assert track.scores.mean() > 0.95
    # Her body, measured in the picture.
    np.testing.assert_allclose(np.median(track.boxes, axis=0), BACK_BOX, atol=12)


def test_a_moment_of_doubt_counts_for_its_moment(blazepose, stage):
    target = Target()
    pose = blazepose_pose(blazepose, stage(400))
    for row in range(50):
        target.add(row, row / RATE, pose, None)
        if target.recheck_due():
            target.add_recheck(0.3 if row < RECHECK_ROWS else 0.9)
    assert target.recheck_count >= 6, "who is clearly visible is looked at again, too"
    assert target.trust == pytest.approx(0.9 - 0.6 * (RECHECK_ROWS + 2) / 50, abs=0.05)


def blazepose_pose(blazepose, image):
    from video_motion.inference.people.blazepose import read_poses

    return read_poses(blazepose, [image], blazepose.detect(image).crops()[:1])[0]


@pytest.mark.parametrize(
    ("mean_trust", "mean_score", "seconds", "person"),
    [
        (0.9, 0.99, 0.6, True),
        (0.9, 0.6, 9.0, False),
        (0.52, 0.99, 9.0, True),
        (0.52, 0.99, 1.0, False),
        (0.57, 0.8, 9.0, False),
        (0.3, 1.0, 9.0, False),
    ],
)
def test_long_and_high_scores_need_less_trust(mean_trust, mean_score, seconds, person):
    assert trust.is_enough(mean_trust, mean_score, seconds) is person


def test_whoever_is_followed_is_returned_or_left_out(blazepose, stage):
    """One man stays, one is there for a third of a second."""
    outcome = follow(blazepose, [stage(250, 700)] * 8 + [stage(250)] * 16).outcome()
    assert [track.number for track in outcome.tracks] == [1]
    assert outcome.trusts[1] > trust.SURE_TRUST
    (other,) = outcome.left_out
    assert other.reason == left_out.TOO_SHORT
    assert other.first_frame <= 2
    assert other.last_frame == 7
    assert abs(other.box[0] + other.box[2] / 2 - 700) < 40
    assert other.mean_score > 0.9


def test_more_people_than_are_wanted_are_left_out(blazepose, stage):
    frames = [stage(250)] * 20 + [stage()] * 130 + [stage(700)] * 20
    following = Tracker(blazepose, max_people=1)
    for chunk in chunks((Frame(number, number / RATE, image) for number, image in enumerate(frames)), 2):
        list(following.steps(chunk))
    outcome = following.outcome()
    assert len(outcome.tracks) == 1
    assert [one.reason for one in outcome.left_out] == [left_out.TOO_MANY]


def test_who_is_too_small_is_noticed(blazepose, stage, monkeypatch):
    # The detector rarely finds whoever is as small as the true limit.
    monkeypatch.setattr(tracker, "MIN_SIZE", 1.5)
    outcome = follow(blazepose, [stage(480)] * 6).outcome()
    assert outcome.tracks == []
    (small,) = outcome.left_out
    assert small.reason == left_out.TOO_SMALL
    assert abs(small.box[0] + small.box[2] / 2 - 480) < 40


def one(reason: str, frames: int = 50, seconds: float = 2.0, score: float = 0.99) -> LeftOut:
    box = (10.0, 20.0, 30.0, 90.0)
    return LeftOut(reason, 5, 5 + frames, 0.2, 0.2 + seconds, frames, score, 0.45, 7, box)


def test_each_cause_has_its_sentence():
    causes = {
        "nothing in it looks like a person": [],
        "followed for 0.30 s, and at least 0.5 s": [one(left_out.TOO_SHORT, 8, 0.3)],
        "is 90 pixels high": [one(left_out.TOO_SMALL, 1, 0.0)],
        "may not be a person": [one(left_out.TOO_UNCERTAIN)],
    }
    for words, seen in causes.items():
        sentence = reasons.nobody(seen, (640, 480), VIDEO)
        assert sentence.startswith("Nobody was found ")
        assert str(VIDEO) in sentence
        assert words in sentence
        assert (sentence.count(". "), sentence[-1]) == (0, ".")


def test_who_was_followed_explains_more_than_who_was_not():
    seen = [one(left_out.TOO_UNCERTAIN, 1, 0.0), one(left_out.TOO_SMALL, 1, 0.0), one(left_out.TOO_SHORT, 8, 0.3)]
    assert "long enough" in reasons.nobody(seen, (640, 480), VIDEO)
    assert "large enough" in reasons.nobody(seen[:2], (640, 480), VIDEO)


def test_doubtful_people_and_likely_people_who_are_left_out_are_warned_of():
    brief, low = one(left_out.TOO_SHORT, 8, 0.3), one(left_out.TOO_UNCERTAIN, score=0.75)
    assert reasons.warnings({1: 0.9, 2: 0.8}, [brief, low]) == []
    doubtful, missing = reasons.warnings({1: 0.9, 2: 0.57}, [one(left_out.TOO_UNCERTAIN), one(left_out.TOO_MANY), low])
    assert doubtful.startswith("Person 2 may not be a person")
    assert "followed at 0.2 to 2.2 s is left out" in missing
    assert "1 more" in missing


def test_who_is_cut_off_at_the_hips_is_not_forgotten_when_lost(blazepose, clip):
    """Without legs in the image nobody knows the trousers, which says nothing against who wears them."""
    # A man from the head to the hips, behind him a smaller woman of whom more is seen.
    busts = [frame.image[230:505] for frame in clip[:30]]
    following = follow(blazepose, busts + [np.full_like(busts[0], 128)] * 10)
    assert [len(track) >= 28 for track in following.tracks()] == [True, True]


def target_seen(blazepose, stage, parts: list[tuple[int, float]]) -> Target:
    """Somebody in a picture, in parts of so many rows with a recheck each, two seconds apart."""
    target, pose, frame = Target(), blazepose_pose(blazepose, stage(400)), 0
    for rows, confidence in parts:
        for row in range(rows):
            target.add(frame + row, (frame + row) / RATE, pose, None)
            if not row:
                target.add_recheck(confidence)
        frame += rows + round(2 * RATE)
    return target


def test_what_was_taken_for_somebody_lost_is_left_out_alone(blazepose, stage):
    target = target_seen(blazepose, stage, [(20, 0.8), (8, 0.45), (10, 0.7)])
    certain = target.without_doubtful_parts(trust.MIN_TRUST)
    assert [row.frame for row in certain.rows] == [*range(20), *range(128, 138)]
    assert certain.trust == pytest.approx((20 * 0.8 + 10 * 0.7) / 30)
    assert target.trust == pytest.approx((20 * 0.8 + 8 * 0.45 + 10 * 0.7) / 38)


def test_furniture_beside_somebody_sure_is_left_out(blazepose, stage):
    """Alone, or seen as much as the other, the same might be a person: who is doubtful is better shown than missed."""
    pose = blazepose_pose(blazepose, stage(400))

    def kept(*seen: tuple[int, float]) -> list[int]:
        following = Tracker(blazepose)
        for rows, confidence in seen:
            target = Target()
            for row in range(rows):
                target.add(row, row / RATE, pose, None)
            target.add_recheck(confidence)
            following._targets.append(target)
        return [len(track) for track in following.outcome().tracks]

    assert kept((20, 0.58)) == [20]
    assert kept((60, 0.8), (20, 0.58)) == [60]
    assert kept((60, 0.8), (20, 0.7)) == [60, 20]
    assert kept((60, 0.8), (40, 0.58)) == [60, 40]
    assert kept((20, 0.8), (60, 0.58)) == [60, 20]


def test_who_is_doubtful_throughout_is_reported_whole(blazepose, stage):
    target = target_seen(blazepose, stage, [(20, 0.5), (8, 0.45)])
    assert len(target.without_doubtful_parts(trust.MIN_TRUST).rows) == 28


def test_the_time_in_which_somebody_is_lost_does_not_count(blazepose, stage):
    target = target_seen(blazepose, stage, [(6, 0.9), (6, 0.9)])
    assert target.seconds == pytest.approx(10 / RATE)


def test_rechecks_of_removed_rows_do_not_count(blazepose, stage):
    target, pose = Target(), blazepose_pose(blazepose, stage(400))
    for row in range(12):
        target.add(row, row / RATE, pose, None)
        if row % 4 == 0:
            target.add_recheck(0.9 if row < 4 else 0.1)
    target.drop_newest(10)
    assert target.trust == pytest.approx(0.9)
    target.add(12, 12 / RATE, pose, None)
    target.add_recheck(0.5)
    assert 0.5 < target.trust < 0.9


def test_clothes_are_compared_by_the_parts_that_are_seen():
    red, blue = np.zeros((200, 100, 3), np.uint8), np.zeros((200, 100, 3), np.uint8)
    red[..., 2], blue[..., 0] = 200, 200
    # Shoulders, hips and knees; of the lower ones the knees are below the image.
    landmarks = np.full((33, 2), 50.0)
    landmarks[[11, 12, 23, 24, 25, 26]] = [[30, 40], [70, 40], [30, 190], [70, 190], [30, 420], [70, 420]]
    bust, other = (clothing.histograms(image, landmarks) for image in (red, blue))
    whole = clothing.histograms(np.vstack([red] * 3), landmarks)
    assert clothing.similarity(bust, whole) == pytest.approx(1, abs=1e-6)
    assert clothing.similarity(bust, other) < 0.1
    assert clothing.similarity(None, whole, unknown=-1.0) == -1
    # What was not seen before is learnt when it is.
    learnt = clothing.blend(bust, whole, 0.1)
    assert np.isnan(bust).any()
    assert not np.isnan(learnt).any()
