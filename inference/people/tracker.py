"""Follow everyone through a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice

import numpy as np

from ..footage.reader import Frame
from ..options import MAX_PEOPLE
from . import clothing, crops, trust
from .blazepose import PoseModel, read_poses
from .detector import HIP_CENTER, SHOULDER_CENTER
from .landmarker import Pose
from .left_out import TOO_MANY, TOO_SHORT, TOO_SMALL, TOO_UNCERTAIN, LeftOut
from .maps import MapStore
from .past import Moment, Past
from .search import MAX_GROWTH, RegionSearch, Rejections, same_place
from .target import JOINTS, Row, Target, agreement
from .track import RoiViews, Track

# Seconds for which somebody must be seen.
MIN_DURATION = 0.5
MIN_SCORE = 0.5
# Score that someone new must have.
SURE_SCORE = 0.6
# Whoever is doubtful and has less than this share of the screen presence of somebody sure is furniture beside them.
BESIDE = 0.5
# A pose with this share of its joints on another person's body is a wrong reading of that body.
COVERED = 0.85
# Above this agreement two poses are one person; below the lower value they are certainly two.
SAME_POSE = 0.5
OTHER_POSE = 0.2
# Seconds within which a person can reappear; in the first of them they are searched for at their expected position,
# every few frames.
MEMORY = 4.0
SEARCH = 2.0
RETRY = 3
# How far a lost person may drift, in crop sides and in crop sides per second, and how similar they must look.
MAX_DRIFT = 0.3
MAX_DRIFT_SPEED = 0.8
MIN_SIMILARITY = 0.65
SURE_SIMILARITY = 0.85
# A pose this far from the expected position, in crop sides, is someone else's unless the clothes match.
JUMP = 0.25
# Seconds for which someone near others must look unlike themselves to count as an identity switch.
SWITCH = 0.1
SWITCH_SIMILARITY = 0.8
NEARBY = 0.8
# Someone new must be this much larger than a followed person to replace them.
EVICTION = 1.5
# People with a crop smaller than this part of the image's shorter side are not worth following. While nobody is seen,
# so many seconds pass until one of them is looked at again, to be able to say so.
MIN_SIZE = 0.12
SMALL_PAUSE = 0.5
# Frames that are looked at side by side, and how far the crop that was expected for a frame may be from the one that
# follows from the frame before it: in crop sides, as a ratio of sides, in radians.
SIDE_BY_SIDE = 2
NEAR_CROP = (0.05, 1.08, 0.12)


def track_people(
    frames: Iterable[Frame],
    model: PoseModel,
    *,
    max_people: int = MAX_PEOPLE,
    min_duration: float = MIN_DURATION,
    progress: Callable[[int], None] | None = None,
) -> list[Track]:
    """Follow everyone through a video.

    Args:
        frames: the video, read once, one frame in memory at a time.
        model: finds people and reads their poses.
        max_people: maximum number of people followed at a time and returned.
        min_duration: people seen for fewer seconds are left out.
        progress: called after each frame with the count of frames so far.

    Returns:
        A track for each person, the one with most screen presence first and with number 1.
    """
    tracker, count = Tracker(model, max_people), 0
    for chunk in chunks(frames, SIDE_BY_SIDE):
        for _ in tracker.steps(chunk):
            count += 1
            if progress:
                progress(count)
    return tracker.tracks(min_duration)


def chunks(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Yield the frames in groups of a size; the last may be smaller."""
    iterator = iter(frames)
    while chunk := list(islice(iterator, size)):
        yield chunk


@dataclass
class NewPerson:
    """A pose of nobody who is followed, the colours of the clothes, and the mean trust of its rechecks."""

    pose: Pose
    appearance: np.ndarray | None
    trust: float


@dataclass
class Outcome:
    """Who was found.

    Attributes:
        tracks: of the people, the one with most screen presence first and with number 1.
        trusts: the trust in each of them, by number.
        left_out: everybody else who was followed, by screen presence. If there is no track, also who was most like a
            person and not followed.
    """

    tracks: list[Track]
    trusts: dict[int, float]
    left_out: list[LeftOut]


class Tracker:
    """Everyone who is or was followed.

    Args:
        model: finds people and reads their poses.
        max_people: maximum number of people followed at a time.
        store: where their local maps are kept, None for nowhere.
        roi_views: whether to run the model on each person's other regions of interest too.
    """

    def __init__(
        self, model: PoseModel, max_people: int = MAX_PEOPLE, store: MapStore | None = None, roi_views: bool = False
    ):
        if max_people < 1:
            raise ValueError("At least one person must be followed.")
        self._model = model
        self._max_people, self._store, self._roi_views = max_people, store, roi_views
        self._targets: list[Target] = []
        self._past = Past()
        self._count = 0
        self._search_plan = RegionSearch()
        self._rejections = Rejections()
        self._dropped: list[LeftOut] = []
        self._not_followed: dict[str, LeftOut] = {}
        self._next_small = 0.0

    def steps(self, frames: Sequence[Frame]) -> Iterator[Frame]:
        """Process the next frames and yield each once it is done.

        The landmark network looks at all of them at once, in crops that are expected from what came before. Where a
        person has moved otherwise, it looks again.
        """
        expected = self._look_ahead(frames)
        seen: list[tuple[Row, Moment]] = []
        for number, frame in enumerate(frames):
            self._follow(frame, expected[number])
            seen += self._search(frame)
            seen += [(t.last, Moment.of(frame)) for t in self._visible() if t.last.frame == frame.number]
            self._past.add(frame)
            yield frame
        if self._roi_views and seen:
            self._view_rois(seen)
        for target in self._visible():
            target.rows.settle()

    def _look_ahead(self, frames: Sequence[Frame]) -> list[dict[Target, Pose]]:
        """For each frame the targets' poses in expected crops."""
        targets = self._visible()
        if not targets:
            return [{} for _ in frames]
        first = frames[0].timestamp
        expected = np.array([t.crop_after(first, frame.timestamp) for frame in frames for t in targets])
        poses = iter(read_poses(self._model, [frame.image for frame in frames for _ in targets], expected))
        return [{target: next(poses) for target in targets} for _ in frames]

    def _view_rois(self, seen: Sequence[tuple[Row, Moment]]) -> None:
        """Look at the other regions of interest of rows of people in moments."""
        where = [crops.roi_crops(row.crop.astype(float)) for row, _ in seen]
        cuts = [
            moment.cut(crop, self._model.input_size)
            for (_, moment), own in zip(seen, where, strict=True)
            for crop in own
        ]
        poses = self._model.read(cuts, np.concatenate(where))
        for (row, _), views in zip(seen, roi_rows(poses), strict=True):
            row.roi_views = views

    def outcome(self, min_duration: float = MIN_DURATION) -> Outcome:
        """Who has been found so far; who was seen for fewer seconds is left out."""
        kept, left_out = [], list(self._dropped)
        targets = [target.without_doubtful_parts(trust.MIN_TRUST) for target in self._targets]
        sure = 0.0
        for target in sorted(targets, key=lambda t: -t.presence):
            reason = _why_left_out(target, min_duration)
            if reason is None and target.trust >= trust.SURE_TRUST:
                sure = max(sure, target.presence)
            elif reason is None and target.presence < BESIDE * sure:
                reason = TOO_UNCERTAIN
            if reason is None and len(kept) == self._max_people:
                reason = TOO_MANY
            if reason is None:
                kept.append(target)
            else:
                left_out.append(LeftOut.from_target(target, reason))
        if not kept:
            left_out += self._not_followed.values()
        return Outcome(
            tracks=[_track(number, target) for number, target in enumerate(kept, 1)],
            trusts={number: target.trust for number, target in enumerate(kept, 1)},
            left_out=sorted(left_out, key=lambda one: -one.presence),
        )

    def tracks(self, min_duration: float = MIN_DURATION) -> list[Track]:
        """The tracks of `outcome`."""
        return self.outcome(min_duration).tracks

    def boxes(self) -> list[np.ndarray]:
        """Boxes of the people who are currently visible: left, top, width, height (4,) in pixels."""
        return [target.last.box for target in self._visible()]

    def _visible(self) -> list[Target]:
        return [t for t in self._targets if t.visible]

    def _follow(self, frame: Frame, expected: dict[Target, Pose]) -> None:
        seen: list[tuple[Target, Pose, np.ndarray | None]] = []
        targets = self._visible()
        again = [t for t in targets if t not in expected or not _near(expected[t].crop, t.crop())]
        if again:
            poses = read_poses(self._model, [frame.image] * len(again), np.array([t.crop() for t in again]))
            expected = expected | dict(zip(again, poses, strict=True))
        for target in targets:
            pose = expected[target]
            appearance = clothing.histograms(frame.image, pose.landmarks)
            if pose.score < MIN_SCORE or self._jumped(target, frame, pose, appearance):
                target.mark_lost(frame.timestamp)
            else:
                seen.append((target, pose, appearance))
        # Best matches first: a target whose pose is already claimed has switched to another person.
        seen.sort(key=lambda s: s[0].mismatch(frame.timestamp, s[1], s[2]) - s[1].visibility.mean())
        claimed: list[Pose] = []
        for target, pose, appearance in seen:
            claimant = next((t for t, p, _ in seen if any(p is o for o in claimed) and _same_body(p, pose)), None)
            if claimant is None:
                claimed.append(pose)
                target.add(frame.number, frame.timestamp, pose, appearance)
                self._check_switch(target, frame, appearance)
                self._check_trust(target, frame, pose)
            else:
                self._revert_switch(target, claimant)
                target.mark_lost(frame.timestamp)

    def _jumped(self, target: Target, frame: Frame, pose: Pose, appearance: np.ndarray | None) -> bool:
        distance = np.hypot(*(pose.center - target.predict(frame.timestamp)))
        return distance > JUMP * target.size and clothing.similarity(target.appearance, appearance) < MIN_SIMILARITY

    def _check_switch(self, target: Target, frame: Frame, appearance: np.ndarray | None) -> None:
        """Lose a person who has looked more like their neighbour for a while, and remove those frames."""
        unlike = target.rows.less_similar(SWITCH_SIMILARITY)
        if unlike < 2 or unlike == len(target.rows):
            return
        lasts = frame.timestamp - target.rows[-unlike].timestamp >= SWITCH
        if lasts and any(
            clothing.similarity(o.appearance, appearance) > target.last.similarity for o in self._nearby(target, frame)
        ):
            target.drop_newest(unlike)
            target.mark_lost(frame.timestamp)

    def _check_trust(self, target: Target, frame: Frame, pose: Pose) -> None:
        """Recheck a doubtful target, and drop it if it is not a person."""
        if not target.visible or not target.recheck_due():
            return
        target.add_recheck(*self._rechecks(frame, pose, [target.recheck_count]))
        if target.recheck_count >= trust.MIN_RECHECKS and target.trust < trust.MIN_TRUST_TO_START:
            self._targets.remove(target)
            self._dropped.append(LeftOut.from_target(target, TOO_UNCERTAIN))
            self._rejections.add(pose.crop, frame.timestamp)

    def _rechecks(self, frame: Frame, pose: Pose, numbers: Sequence[int]) -> list[float]:
        where = np.array([trust.recheck_crop(pose.crop, number) for number in numbers])
        rechecks = read_poses(self._model, [frame.image] * len(where), where)
        trusts = [trust.trust(pose, frame.image.shape, recheck) for recheck in rechecks]
        if np.mean(trusts) >= trust.SURE_TRUST:
            return trusts
        face = self._face_in_portrait(frame, pose)
        return [max(one, face) for one in trusts]

    def _face_in_portrait(self, frame: Frame, pose: Pose) -> float:
        """How probable it is that the face of somebody is seen of whom the image shows little else; 0 of others."""
        return self._model.face_probability(frame.image, pose) if trust.is_portrait(pose, frame.image.shape) else 0.0

    def _nearby(self, target: Target, frame: Frame) -> list[Target]:
        """Others who are, or just were, near this person."""
        return [
            other
            for other in self._targets
            if other is not target
            and frame.timestamp - other.last.timestamp <= SEARCH
            and np.hypot(*(other.last.center - target.last.center)) < NEARBY * max(other.size, target.size)
        ]

    def _revert_switch(self, target: Target, claimant: Target) -> None:
        """Remove the frames in which a target was already moving towards its claimant's pose."""
        while len(target.rows) > 1:
            row = target.last
            other = claimant.rows.at(row.frame)
            if other is None or agreement(row.landmarks, other.landmarks, target.size) < OTHER_POSE:
                return
            target.drop_newest(1)

    def _search(self, frame: Frame) -> list[tuple[Row, Moment]]:
        """Search for people; returns what was seen before of those who were found, and when."""
        missed = []
        self._count += 1
        if self._count % RETRY == 0:
            missed = [t for t in self._lost(frame) if _worth_search(t, frame)]
        candidates = [t.expected_crop(frame.timestamp) for t in missed]
        regions = self._where_to_search(frame, missed)
        if regions:
            detections = self._model.detect(frame.image, np.array(regions))
            candidates += [
                crop
                for crop, points in zip(detections.crops(), detections.points, strict=True)
                if not self._is_followed(crop, points[[HIP_CENTER, SHOULDER_CENTER]])
            ]
        new_people: list[NewPerson] = []
        self._look_at_small(frame, candidates)
        candidates = [crop for crop in candidates if self._is_worth_looking(frame, crop)]
        poses = read_poses(self._model, [frame.image] * len(candidates), np.array(candidates)) if candidates else []
        for crop, pose in zip(candidates, poses, strict=True):
            if pose.score < SURE_SCORE or not pose.upright():
                self._rejections.add(crop, frame.timestamp)
                continue
            others = [t.pose for t in self._visible() if t.pose] + [f.pose for f in new_people]
            if any(_same_body(o, pose) for o in others):
                continue
            pose, confidence = self._examine(frame, pose)
            if confidence < trust.MIN_TRUST_TO_START:
                self._rejections.add(crop, frame.timestamp)
                self._note(frame, pose, TOO_UNCERTAIN, confidence)
            elif not any(_same_body(o, pose) for o in others):
                new_people.append(NewPerson(pose, clothing.histograms(frame.image, pose.landmarks), confidence))
        found = self._reidentify(frame, new_people)
        for new in new_people:
            found += self._add_target(frame, new)
        return found

    def _is_worth_looking(self, frame: Frame, crop: np.ndarray) -> bool:
        if _is_small(frame, crop) or self._is_rejected(frame, crop):
            return False
        return self._has_room(crop[2]) or any(
            self._implausibility(t, frame, crop[:2], crop[2]) <= 1 for t in self._lost(frame)
        )

    def _look_at_small(self, frame: Frame, candidates: Sequence[np.ndarray]) -> None:
        """Look at the largest of the crops that are too small to be followed, from time to time while nobody is."""
        small = [crop for crop in candidates if _is_small(frame, crop)]
        if not small or self._visible() or frame.timestamp < self._next_small:
            return
        self._next_small = frame.timestamp + SMALL_PAUSE
        (pose,) = read_poses(self._model, [frame.image], max(small, key=lambda crop: crop[2])[None])
        if pose.score >= SURE_SCORE and pose.upright():
            pose, confidence = self._examine(frame, pose)
            if confidence >= trust.MIN_TRUST and _is_small(frame, pose.crop):
                self._note(frame, pose, TOO_SMALL, confidence)

    def _note(self, frame: Frame, pose: Pose, reason: str, confidence: float) -> None:
        """Remember who is not followed, for each reason the one who came nearest to it."""
        one = LeftOut.from_pose(pose, reason, confidence, frame.number, frame.timestamp)
        best = self._not_followed.get(reason)
        if best is None or (one.box[3] > best.box[3] if reason == TOO_SMALL else one.trust > best.trust):
            self._not_followed[reason] = one

    def _examine(self, frame: Frame, pose: Pose) -> tuple[Pose, float]:
        """Someone's pose and the mean trust of its rechecks.

        Rechecks doubt anybody at the edge of a crop, so someone doubtful is looked at once more in the crop that their
        pose itself asks for.
        """
        confidence, crop = self._confidence(frame, pose), crops.around(pose.center, pose.rim)
        if confidence < trust.MIN_TRUST_TO_START and not _near(crop, pose.crop):
            (closer,) = read_poses(self._model, [frame.image], crop[None])
            if closer.score >= SURE_SCORE and closer.upright():
                return max((pose, confidence), (closer, self._confidence(frame, closer)), key=lambda one: one[1])
        return pose, confidence

    def _confidence(self, frame: Frame, pose: Pose) -> float:
        """The mean trust of the first rechecks; that of the pose alone if that is too low already."""
        alone = trust.trust(pose, frame.image.shape)
        if alone < trust.MIN_TRUST_TO_START:
            return max(alone, self._face_in_portrait(frame, pose))
        return float(np.mean(self._rechecks(frame, pose, range(len(trust.RECHECKS)))))

    def _is_rejected(self, frame: Frame, crop: np.ndarray) -> bool:
        # In a crowd, someone may stand there a moment later.
        return len(self._visible()) < 2 and self._rejections.has(crop, frame.timestamp)

    def _where_to_search(self, frame: Frame, missed: list[Target]) -> list[np.ndarray]:
        regions = []
        for target in missed:
            x, y, side, _ = target.expected_crop(frame.timestamp)
            regions.append(np.array([x, y, 2 * side, 0.0]))
        visible, lost = len(self._visible()), self._lost(frame)
        place = max(lost, key=lambda target: target.last.timestamp).last.center if lost else None
        largest = max((target.size for target in self._visible()), default=None)
        return regions + self._search_plan.regions(
            frame.image.shape, frame.timestamp, visible, visible >= self._max_people, place, largest
        )

    def _is_followed(self, crop: np.ndarray, torso: np.ndarray) -> bool:
        """Whether a detected crop, with its hip and shoulder centre (2, 2), is that of someone already followed."""
        for target in self._visible():
            if same_place(target.crop(), crop):
                return True
            if target.pose is not None and target.pose.covers(torso) == 1:
                return True
        return False

    def _has_room(self, size: float) -> bool:
        visible = self._visible()
        return len(visible) < self._max_people or size > EVICTION * min(t.size for t in visible)

    def _lost(self, frame: Frame) -> list[Target]:
        return [t for t in self._targets if not t.visible and frame.timestamp - t.last.timestamp <= MEMORY]

    def _implausibility(self, target: Target, frame: Frame, center: np.ndarray, size: float) -> float:
        """How implausible time, position and size make this as a lost person: 0 certain, above 1 impossible."""
        away = frame.timestamp - target.last.timestamp
        reach = (MAX_DRIFT + MAX_DRIFT_SPEED * away) * target.size
        distance = np.hypot(*(center - target.predict(frame.timestamp)))
        growth = abs(np.log(size / target.size)) / np.log(MAX_GROWTH)
        return float(max(away / MEMORY, distance / reach, growth))

    def _reidentify(self, frame: Frame, new_people: list[NewPerson]) -> list[tuple[Row, Moment]]:
        """Assign poses to lost people and remove them from the list."""
        pairs: list[tuple[float, Target, NewPerson]] = []
        for target in self._lost(frame):
            for new in new_people:
                implausibility = self._implausibility(target, frame, new.pose.center, new.pose.crop[2])
                similarity = clothing.similarity(target.appearance, new.appearance)
                if (
                    implausibility <= 1
                    and similarity >= MIN_SIMILARITY + (SURE_SIMILARITY - MIN_SIMILARITY) * implausibility
                ):
                    pairs.append((implausibility - 3 * similarity, target, new))
        earlier: list[tuple[Row, Moment]] = []
        for _, target, new in sorted(pairs, key=lambda p: p[0]):
            index = next((i for i, f in enumerate(new_people) if f is new), None)
            if not target.visible and index is not None and self._make_room(frame, new.pose.crop[2]):
                earlier += self._add_found(target, frame, new)
                new_people.pop(index)
        return earlier

    def _add_target(self, frame: Frame, new: NewPerson) -> list[tuple[Row, Moment]]:
        if not self._make_room(frame, new.pose.crop[2]):
            return []
        target = Target(self._store)
        earlier = self._add_found(target, frame, new)
        self._targets.append(target)
        return earlier

    def _add_found(self, target: Target, frame: Frame, new: NewPerson) -> list[tuple[Row, Moment]]:
        """Add who was found, and what was there to be seen of them before: searching takes time.

        Returns:
            The earlier rows, and when they were.
        """
        target.add(frame.number, frame.timestamp, new.pose, new.appearance)
        earlier = self._trace_back(target, new) if new.trust >= trust.MIN_TRUST else []
        earlier.reverse()
        rows = target.add_before(
            [(moment.number, moment.timestamp, pose, appearance) for moment, pose, appearance in earlier]
        )
        target.add_recheck(new.trust)
        return [(row, moment) for row, (moment, *_) in zip(rows, earlier, strict=True)]

    def _trace_back(self, target: Target, new: NewPerson) -> list[tuple[Moment, Pose, np.ndarray | None]]:
        """Follow somebody back to when they came into view or were lost, the newest moment first."""
        seen: list[tuple[Moment, Pose, np.ndarray | None]] = []
        before = target.rows[-2].frame if len(target.rows) > 1 else -1
        pose, moved = new.pose, np.zeros(2)
        for moment in self._past.back():
            if moment.number <= before:
                break
            crop = crops.around(pose.center + moved, pose.rim + moved)
            (earlier,) = self._model.read([moment.cut(crop, self._model.input_size)], crop[None])
            appearance = clothing.histograms(moment.image, moment.shown(earlier.landmarks))
            astray = np.hypot(*(earlier.center - crop[:2])) > JUMP * crop[2]
            unlike = clothing.similarity(target.appearance, appearance, unknown=1.0) < SWITCH_SIMILARITY
            doubtful = trust.trust(earlier, moment.shape) < trust.MIN_TRUST
            if earlier.score < SURE_SCORE or astray or unlike or doubtful or self._is_taken(target, moment, earlier):
                break
            pose, moved = earlier, earlier.center - pose.center
            seen.append((moment, earlier, appearance))
        return seen

    def _is_taken(self, target: Target, moment: Moment, pose: Pose) -> bool:
        """Whether somebody else was seen there in this pose."""
        for other in self._targets:
            row = None if other is target else other.rows.at(moment.number)
            if row is None:
                continue
            size = float(max(row.crop[2], pose.crop[2]))
            if agreement(row.landmarks, pose.landmarks, size) > OTHER_POSE:
                return True
        return False

    def _make_room(self, frame: Frame, size: float) -> bool:
        if not self._has_room(size):
            return False
        visible = self._visible()
        if len(visible) >= self._max_people:
            min(visible, key=lambda t: t.size).mark_lost(frame.timestamp)
        return True


def _why_left_out(target: Target, min_duration: float) -> str | None:
    """The reason why somebody is not returned, None if they are."""
    if target.seconds < min_duration:
        return TOO_SHORT
    mean_score = float(np.mean(target.rows.values("score")))
    return None if trust.is_enough(target.trust, mean_score, target.seconds) else TOO_UNCERTAIN


def _is_small(frame: Frame, crop: np.ndarray) -> bool:
    return bool(crop[2] < MIN_SIZE * min(frame.image.shape[:2]))


def _worth_search(target: Target, frame: Frame) -> bool:
    """Whether to keep searching for a lost person: for at most twice the time they were seen, so errors cost little."""
    seen = target.last.timestamp - target.rows[0].timestamp
    return frame.timestamp - target.last.timestamp <= min(SEARCH, 2 * seen)


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the network sees about the same in two crops (4,)."""
    distance, growth, rotation = NEAR_CROP
    turned = abs((one[3] - other[3] + np.pi) % (2 * np.pi) - np.pi)
    moved = np.hypot(*(one[:2] - other[:2])) / max(other[2], 1e-6)
    return bool(moved < distance and 1 / growth < one[2] / max(other[2], 1e-6) < growth and turned < rotation)


def _same_body(claimant: Pose, pose: Pose) -> bool:
    """Whether a pose is the claimant's, or lies on that body."""
    size = float(max(claimant.crop[2], pose.crop[2]))
    alike = agreement(claimant.landmarks, pose.landmarks, size) > SAME_POSE
    return alike or claimant.covers(pose.landmarks[JOINTS]) > COVERED


def _track(number: int, target: Target) -> Track:
    columns = target.rows.columns()
    return Track(
        number=number,
        frames=columns["frame"],
        timestamps=columns["timestamp"],
        landmarks=columns["landmarks"],
        visibility=columns["visibility"],
        presence=columns["presence"],
        world_landmarks=columns["world_landmarks"],
        crops=columns["crop"],
        boxes=columns["box"],
        scores=columns["score"],
        maps=columns["maps"],
        roi_views=RoiViews.from_columns(columns),
        body_crops=columns["body_crop"],
    )


def roi_rows(poses: Sequence[Pose]) -> list[dict[str, np.ndarray]]:
    """For each person the values of `RoiViews` of one frame, from the poses of all their regions.

    A pose itself holds the network's whole output.
    """
    of_poses = {"scores": "score", "crops": "crop"}
    return [
        {
            item.name: np.array([getattr(pose, of_poses.get(item.name, item.name)) for pose in views], np.float32)
            for item in fields(RoiViews)
        }
        for views in (poses[start : start + crops.ROI_VIEWS] for start in range(0, len(poses), crops.ROI_VIEWS))
    ]
