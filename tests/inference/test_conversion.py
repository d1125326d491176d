"""From a video to motions and a report."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from video_motion.inference import conversion, registry
from video_motion.inference.batch.queue import VideoBatch
from video_motion.inference.batch.request import Request
from video_motion.inference.body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from video_motion.inference.cache import Cache
from video_motion.inference.camera.given import CameraFileError, GivenCamera
from video_motion.inference.conversion import NobodyFoundError, Result
from video_motion.inference.estimators import DEFAULT
from video_motion.inference.footage.reader import Footage, FootageError
from video_motion.inference.models import load_models
from video_motion.inference.motion.motion import Motion
from video_motion.inference.options import Options, Who
from video_motion.inference.people.detector import Detections
from video_motion.inference.people.landmarker import Pose

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "sample" / "sample.mp4"
REAL = Path(__file__).parents[1] / "data" / "real" / "man.mp4"


def convert_footage(path: Path, options: Options, *progress: conversion.Progress, cache: Cache | None = None) -> Result:
    return conversion.convert_footage(path, options, load_models(options), *progress, cache=cache)


LIMBS = [f"{side}_{part}" for side in ("left", "right") for part in ("elbow", "wrist", "knee", "ankle")]


@pytest.fixture(scope="module")
def reported() -> list[tuple[str, int, int | None]]:
    """What `sample` reported of its progress."""
    return []


@pytest.fixture(scope="module")
def sample(reported: list[tuple[str, int, int | None]]) -> Result:
    """The third second of the sample clip."""
    options = Options(start=2.0, end=3.0, quality="fast")
    return convert_footage(SAMPLE, options, lambda stage, done, total: reported.append((stage, done, total)))


@pytest.fixture(scope="module")
def real() -> Result:
    """A second of a real man who walks and kicks."""
    return convert_footage(REAL, Options(start=0.2, end=1.2, quality="fast"))


@pytest.fixture(scope="module")
def empty_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a wall and a ball that rolls by."""
    path = tmp_path_factory.mktemp("video") / "no body.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for number in range(25):
        image = np.full((240, 320, 3), (150, 160, 170), np.uint8)
        cv2.circle(image, (40 + 8 * number, 180), 20, (40, 40, 200), -1)
        writer.write(image)
    writer.release()
    return path


def pixels(motion: Motion, names: list[str]) -> np.ndarray:
    joints = motion.joints_cam[:, [JOINT_NAMES.index(name) for name in names]]
    image = joints @ motion.camera_K.T
    return image[..., :2] / image[..., 2:]


def reprojection(motion: Motion) -> np.ndarray:
    """(N, 8) distances of joints from their landmarks, as parts of the person's height; NaN where not seen."""
    seen = motion.landmarks[:, [LANDMARK_NAMES.index(name) for name in LIMBS]]
    away = np.linalg.norm(pixels(motion, LIMBS) - seen[..., :2], axis=-1) / motion.boxes[:, 3:]
    return np.where(seen[..., 2] > 0.5, away, np.nan)


def test_trim_keeps_the_footages_frames_and_times(sample: Result):
    motion = sample.motions[0]
    with Footage(SAMPLE) as footage:
        times = {frame.number: frame.timestamp for frame in footage}
    wanted = [number for number, time in times.items() if 2.0 <= time < 3.0]
    assert motion.frames.tolist() == wanted
    np.testing.assert_array_equal(motion.timestamps, [times[number] for number in wanted])


def test_joints_lie_on_their_landmarks(sample: Result):
    away = reprojection(sample.motions[0])
    assert np.nanmedian(away) < 0.03
    assert np.nanquantile(away, 0.9) < 0.07


def test_motion_says_where_it_comes_from(sample: Result):
    motion = sample.motions[0]
    assert motion.person == 1
    assert motion.provenance["video"] == "sample.mp4"
    assert motion.provenance["body"] == sample.models.body.name
    assert (motion.provenance["start"], motion.provenance["end"]) == (2.0, 3.0)
    assert "Video Motion" in str(motion.provenance["made_with"])
    assert sample.models.body_path is not None
    assert sample.models.body_path.is_file()
    np.testing.assert_array_equal(motion.image_size, [640, 480])


def test_report_is_complete(sample: Result):
    report = json.loads(json.dumps(sample.report))
    assert report["video"] == str(SAMPLE)
    assert report["size"] == [640, 480]
    assert report["frames"] == 25
    assert report["frame_rate"] == pytest.approx(25)
    assert report["seconds"] == pytest.approx(0.96)
    (shot,) = report["shots"]
    assert shot == {
        "shot": 1,
        "first_frame": 50,
        "last_frame": 74,
        "start": pytest.approx(2.0),
        "end": pytest.approx(2.96),
        "camera": {"focal_pixels": pytest.approx(800), "turns": False, "travels": False},
    }
    assert report["estimator"] == DEFAULT
    assert report["left_out"] == []
    assert report["warnings"] == []
    person = report["people"][0]
    assert {key: person[key] for key in ("person", "first_frame", "last_frame", "frames", "bridged_frames")} == {
        "person": 1,
        "first_frame": 50,
        "last_frame": 74,
        "frames": 25,
        "bridged_frames": 0,
    }
    assert 0.5 < person["mean_score"] <= 1
    assert 0.8 < person["trust"] <= 1
    assert {"load", "camera", "people", "motion"} <= set(report["timings"])
    assert all(seconds >= 0 for seconds in report["timings"].values())


def test_progress_counts_the_frames(sample: Result, reported: list[tuple[str, int, int | None]]):
    counts = [done for stage, done, _ in reported if stage == "people"]
    assert counts[-1] == 25
    assert all(0 < step <= 2 for step in np.diff([0, *counts])), "frames are looked at two by two"
    assert {total for stage, _, total in reported if stage == "people"} == {25}


def test_cached_results_are_the_same_and_not_made_again(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    trimmed = Options(start=2.0, end=2.6, quality="fast")
    plain = convert_footage(SAMPLE, trimmed)
    first, second = (convert_footage(SAMPLE, trimmed, cache=cache) for _ in range(2))
    assert first.report["reused"] == []
    assert second.report["reused"] == ["people", "network"]
    for other in (first, second):
        np.testing.assert_array_equal(other.motions[0].poses_cam, plain.motions[0].poses_cam)
        np.testing.assert_array_equal(other.motions[0].landmarks, plain.motions[0].landmarks)

    other = convert_footage(SAMPLE, replace(trimmed, smoothing=3.0), cache=cache)
    assert other.report["reused"] == ["people", "network"]
    assert np.abs(other.motions[0].poses_cam - plain.motions[0].poses_cam).max() > 1e-3
    assert convert_footage(SAMPLE, replace(trimmed, height=1.9), cache=cache).report["reused"] == ["people", "network"]
    assert convert_footage(SAMPLE, replace(trimmed, end=2.7), cache=cache).report["reused"] == []

    renamed = tmp_path / "renamed.avi"
    renamed.write_bytes(SAMPLE.read_bytes())
    assert convert_footage(renamed, trimmed, cache=cache).report["reused"] == ["people", "network"]


def write_uneven(path: Path, images: Sequence[np.ndarray], seconds: Sequence[float]) -> Path:
    """A Matroska file of JPEGs at true times, as phones write them; ends with the last picture's time."""

    def element(name: str, *parts: bytes) -> bytes:
        content = b"".join(parts)
        return bytes.fromhex(name) + (1 << 56 | len(content)).to_bytes(8, "big") + content

    def number(name: str, value: int) -> bytes:
        return element(name, value.to_bytes(4, "big"))

    height, width = images[0].shape[:2]
    video = element("e0", number("b0", width), number("ba", height))
    track = element("ae", number("d7", 1), number("73c5", 1), number("83", 1), element("86", b"V_MJPEG"), video)
    length = element("4489", struct.pack(">d", 1000 * seconds[-1]))
    info = element("1549a966", number("2ad7b1", 1_000_000), length)
    blocks = [
        element(
            "a3", b"\x81", round(1000 * second).to_bytes(2, "big"), b"\x80", cv2.imencode(".jpg", image)[1].tobytes()
        )
        for image, second in zip(images, seconds, strict=True)
    ]
    cluster = element("1f43b675", number("e7", 0), *blocks)
    head = element("1a45dfa3", element("4282", b"matroska"), number("4287", 2), number("4285", 2))
    path.write_bytes(head + element("18538067", info, element("1654ae6b", track), cluster))
    return path


def test_uneven_times_are_true_times(tmp_path: Path):
    """Without some of its pictures a video shows the same movement, at the same times."""
    frames = list(Footage(SAMPLE, 2.0, 3.6))
    options = Options(quality="fast", network="landmarks")
    kept = [frame for number, frame in enumerate(frames) if number < 2 or number % 7 not in (1, 2, 4)]
    (whole,) = convert_footage(SAMPLE, replace(options, start=2.0, end=3.6)).motions
    uneven = write_uneven(tmp_path / "uneven.mkv", [one.image for one in kept], [one.timestamp - 2 for one in kept])
    (motion,) = convert_footage(uneven, options).motions
    np.testing.assert_allclose(motion.timestamps, [one.timestamp - 2 for one in kept], atol=1e-3)
    same = whole.trimmed(np.isin(whole.frames, [one.number for one in kept]))
    away = np.linalg.norm(motion.joints_cam - same.joints_cam, axis=-1)
    assert np.median(away) < 0.03
    # Taken for evenly spaced, the legs would be as slow as they are seldom seen: wrong by this much in speed.
    speeds = [np.diff(one.joints_cam, axis=0) / np.diff(one.timestamps)[:, None, None] for one in (motion, same)]
    ratio = np.linalg.norm(speeds[0], axis=-1).mean() / np.linalg.norm(speeds[1], axis=-1).mean()
    assert ratio == pytest.approx(1.0, abs=0.1)


def test_slow_motion_has_true_times_and_speeds(tmp_path: Path):
    film = tmp_path / "slow.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 6.25, (640, 480))
    for frame in Footage(SAMPLE, 2.0, 3.0):
        writer.write(frame.image)
    writer.release()
    options = Options(quality="fast", network="landmarks", slow_motion=4.0)
    result = convert_footage(film, options)
    (motion,) = result.motions
    (real,) = convert_footage(SAMPLE, replace(options, start=2.0, end=3.0, slow_motion=1.0)).motions
    np.testing.assert_allclose(motion.timestamps, real.timestamps - 2.0, atol=1e-6)
    assert np.median(np.linalg.norm(motion.joints_cam - real.joints_cam, axis=-1)) < 0.02
    # What a user looks up in a player.
    assert result.report["shots"][0]["end"] == pytest.approx(3.84)


def test_hands_and_faces_are_looked_at_anew_when_slow_motion_changes_how_often(tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    options = Options(start=2.0, end=3.0, quality="fast", network="landmarks")
    kept = []
    for slow_motion in (1.0, 4.0, 4.0):
        convert_footage(SAMPLE, replace(options, slow_motion=slow_motion), cache=cache)
        kept.append({file.name for file in (tmp_path / "cache").iterdir()})
    assert kept[0] < kept[1] == kept[2]


def test_people_stand_in_the_world_of_the_users_camera(tmp_path: Path):
    truth = Motion.load(SAMPLE.with_name("sample.truth.npz"))
    file = tmp_path / "camera.json"
    # A world that is turned and elsewhere than one would guess.
    elsewhere = np.eye(4)
    elsewhere[:3, :3], elsewhere[:2, 3] = Rotation.from_euler("z", 50, degrees=True).as_matrix(), (3.0, -2.0)
    given = elsewhere @ truth.camera_to_world
    GivenCamera(file, (640, 480), truth.camera_K, given, truth.timestamps).save()
    options = Options(start=2.0, end=4.0, quality="fast", camera_file=file)
    result = convert_footage(SAMPLE, options)
    (motion,) = result.motions
    np.testing.assert_allclose(motion.camera_to_world, given[50:100], atol=1e-9)
    np.testing.assert_allclose(motion.camera_K, truth.camera_K)
    true = truth.joints_world[50:100] @ elsewhere[:3, :3].T + elsewhere[:3, 3]
    away = np.linalg.norm(motion.joints_world - true, axis=-1)
    assert away.mean() < 0.2
    assert np.abs(motion.joints_world[:, [10, 11], 2].min(1) - true[:, [10, 11], 2].min(1)).mean() < 0.05
    assert result.report["shots"][0]["camera"]["focal_pixels"] == pytest.approx(truth.camera_K[0, 0])
    with pytest.raises(CameraFileError, match="is for pictures of 640×480"):
        convert_footage(REAL, Options(end=0.6, quality="fast", camera_file=file))


def test_a_folder_of_images_gives_what_the_video_gives(tmp_path: Path):
    """By the commands' queue, which knows when one of them has changed."""
    video, folder, out = tmp_path / "walk.mkv", tmp_path / "walk.25", tmp_path / "out"
    folder.mkdir()
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"FFV1"), 25, (640, 480))
    for frame in Footage(SAMPLE, 2.0, 2.6):
        cv2.imwrite(str(folder / f"picture {frame.number}.png"), frame.image)
        writer.write(frame.image)
    writer.release()
    options = Options(quality="fast", hands=False, face=False, format=(), frame_rate=25.0, resume=True)

    def states() -> dict[str, str]:
        assert VideoBatch(Request([video, folder], out, options, registry.cache_folder())).run() == 0
        rows = json.loads((out / "batch.json").read_text())["videos"]
        return {Path(row["video"]).name: row["state"] for row in rows}

    assert states() == {"walk.mkv": "done", "walk.25": "done"}
    one, other = (Motion.load(out / f"{name}.motion.npz") for name in ("walk", "walk.25"))
    np.testing.assert_allclose(one.timestamps, other.timestamps, atol=1e-6)
    np.testing.assert_allclose(one.joints_world, other.joints_world, atol=1e-3)
    assert states() == {"walk.mkv": "skipped", "walk.25": "skipped"}
    changed = next(folder.iterdir())
    os.utime(changed, ns=(0, changed.stat().st_mtime_ns + 10**9))
    assert states() == {"walk.mkv": "skipped", "walk.25": "done"}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 0.8 s of the sample, 0.4 s of a bright wall, and 0.8 s of a real man."""
    film = tmp_path_factory.mktemp("cut") / "cut.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    wall = np.random.default_rng(0).integers(150, 250, (6, 8, 3)).astype(np.uint8)
    walls = [cv2.resize(wall, (640, 480), interpolation=cv2.INTER_CUBIC)] * 10
    man = [cv2.resize(frame.image, (270, 480)) for frame in Footage(REAL, 0.2, 1.2)][:20]
    man = [cv2.copyMakeBorder(image, 0, 0, 185, 185, cv2.BORDER_CONSTANT) for image in man]
    for image in [*(frame.image for frame in Footage(SAMPLE, 2.0, 2.8)), *walls, *man]:
        writer.write(image)
    writer.release()
    return film


def test_a_cut_begins_a_take_of_its_own(cut: Path, tmp_path: Path):
    options, cache = Options(quality="best", network="part_dynamics"), Cache(tmp_path)
    whole = convert_footage(cut, options, cache=cache)
    shots = json.loads(json.dumps(whole.report))["shots"]
    assert [(one["shot"], one["first_frame"], one["last_frame"]) for one in shots] == [
        (1, 0, 19),
        (2, 20, 29),
        (3, 30, 49),
    ]
    assert [(one["shot"], one["person"]) for one in whole.report["people"]] == [(1, 1), (3, 1)]
    assert [motion.shot for motion in whole.motions] == [1, 3]
    # Nothing of the shots before reaches the last one, which keeps its time in the film.
    alone = convert_footage(cut, replace(options, start=1.2))
    np.testing.assert_array_equal(whole.motions[1].timestamps, alone.motions[0].timestamps)
    np.testing.assert_allclose(whole.motions[1].joints_world, alone.motions[0].joints_world, atol=1e-6)
    assert alone.motions[0].timestamps[0] == pytest.approx(1.2)

    # One that is chosen is made from what was seen of all, or by itself.
    third = replace(options, shot=3)
    again = convert_footage(cut, third, cache=cache)
    assert again.report["reused"] == ["people", "network"]
    for chosen in (again, convert_footage(cut, third)):
        (motion,) = chosen.motions
        assert motion.shot == 3
        np.testing.assert_allclose(motion.joints_world, alone.motions[0].joints_world, atol=1e-6)
    somebody = convert_footage(cut, replace(options, person=(Who(1, 3), Who(2, 1))), cache=cache)
    assert [motion.shot for motion in somebody.motions] == [3]
    assert "There is no person 1:2: the others' motion was taken." in somebody.report["warnings"]
    with pytest.raises(NobodyFoundError, match=r"no person 3:2 in .*; choose from 1:1, 3:1\."):
        convert_footage(cut, replace(options, person=(Who(2, 3),)), cache=cache)
    with pytest.raises(NobodyFoundError, match="Nobody was found"):
        convert_footage(cut, replace(options, shot=2))
    with pytest.raises(FootageError, match=r"no shot 4 in .*: it has 3"):
        convert_footage(cut, replace(options, shot=4))


def test_import_reuses_a_search_for_people(tmp_path: Path):
    cache = Cache(tmp_path)
    asked = Options(start=2.0, end=2.6, quality="fast", network="part_dynamics")
    (observations,) = conversion.find_people(SAMPLE, asked, load_models(asked), cache=cache)
    assert [track.number for track in observations.tracks] == [1]
    # Part dynamics asked for more than the fit does.
    result = convert_footage(SAMPLE, replace(asked, network="landmarks"), cache=cache)
    assert result.report["reused"] == ["people"]


def test_cache_that_cannot_be_written_still_gives_a_result(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    result = convert_footage(SAMPLE, Options(start=2.0, end=2.6, quality="fast"), cache=Cache(blocked / "cache"))
    assert len(result.motions) == 1
    (warning,) = result.report["warnings"]
    assert "can't store intermediate results" in warning


def test_chosen_focal_length():
    result = convert_footage(SAMPLE, Options(start=0.0, end=0.7, focal=600.0, quality="fast"))
    assert result.motions[0].camera_K[0, 0] == 600
    (shot,) = json.loads(json.dumps(result.report))["shots"]
    assert shot["camera"] == {"focal_pixels": 600.0, "turns": False, "travels": False}


@pytest.mark.parametrize(("height", "can_be"), [(1.5, True), (3.0, False)])
def test_chosen_height(height: float, can_be: bool):
    result = convert_footage(SAMPLE, Options(start=2.0, end=2.6, height=height, quality="fast", network="landmarks"))
    (motion,) = result.motions
    vertices, _ = result.models.body.shape(motion.betas)
    tall = float(vertices[:, 1].max() - vertices[:, 1].min())
    report = json.loads(json.dumps(result.report))
    assert report["people"][0]["height"] == pytest.approx(tall, abs=0.001)
    assert motion.provenance["height"] == height
    assert (abs(tall - height) < 0.01) == can_be
    assert any(f"Person 1 is {tall:.2f} m tall" in warning for warning in report["warnings"]) != can_be


def test_person_who_is_not_there():
    with pytest.raises(NobodyFoundError) as caught:
        convert_footage(SAMPLE, Options(start=0.0, end=0.7, person=(Who(9),), quality="fast"))
    message = str(caught.value)
    assert message.startswith("There is no person 9 in ")
    assert str(SAMPLE) in message
    assert message.endswith("choose from 1.")
    report = json.loads(json.dumps(caught.value.report))
    assert report["people"] == []
    (other,) = report["left_out"]
    assert (other["reason"], other["person"], other["first_frame"]) == ("not chosen", 1, 0)


def test_nobody_in_the_footage(empty_scene: Path):
    with pytest.raises(NobodyFoundError) as caught:
        convert_footage(empty_scene, Options())
    message = str(caught.value)
    assert message.startswith(f"Nobody was found in {empty_scene}: nothing in it looks like a person")
    assert message.endswith(".")
    assert caught.value.report["frames"] == 25
    assert caught.value.report["left_out"] == []
    assert "\n" not in message


def test_somebody_seen_too_short():
    with pytest.raises(
        NobodyFoundError, match=r"for long enough in .* is followed for 0\.\d+ s, and at least 0\.5"
    ) as caught:
        convert_footage(SAMPLE, Options(start=1.0, end=1.2))
    (brief,) = json.loads(json.dumps(caught.value.report))["left_out"]
    assert brief["reason"] == "too short"
    assert (brief["first_frame"], brief["last_frame"]) == (25, 29)
    assert brief["mean_score"] > 0.9
    truth = Motion.load(SAMPLE.with_name("sample.truth.npz")).boxes[brief["frame"]]
    np.testing.assert_allclose(brief["box"], truth, atol=25)


def test_missing_video(tmp_path: Path):
    with pytest.raises(FootageError, match="does not exist"):
        convert_footage(tmp_path / "none.mp4", Options())


def test_person_before_a_plain_wall_does_not_turn_the_camera(tmp_path: Path):
    # The sample's person, cut out with a little of the room, walks along a wall without any detail.
    path = tmp_path / "plain.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    truth = Motion.load(SAMPLE.with_name("sample.truth.npz"))
    with Footage(SAMPLE, 1.0, 2.0) as footage:
        for frame in footage:
            image = np.full((480, 640, 3), 140, np.uint8)
            left, top, width, height = truth.boxes[frame.number]
            rows = slice(max(int(top), 0), int(top + height))
            columns = slice(max(int(left), 0), int(left + width))
            piece = frame.image[rows, columns]
            start = 20 + 10 * (frame.number - 25)
            image[rows, start : start + piece.shape[1]] = piece[:, : 640 - start]
            writer.write(image)
    writer.release()
    result = convert_footage(path, Options(quality="fast"))
    assert not result.motions[0].camera_moves


def test_a_real_mans_joints_lie_on_their_landmarks(real: Result):
    assert len(real.motions) == 1
    away = reprojection(real.motions[0])
    assert np.nanmedian(away) < 0.02
    assert np.nanquantile(away, 0.95) < 0.06


def test_a_real_mans_motion_is_plausible(real: Result):
    motion = real.motions[0]
    assert motion.frames.tolist() == list(range(6, 36))
    assert motion.joints_world[..., 2].min() > -0.1, "nothing sinks into the floor"
    ankles = motion.joints_world[:, [7, 8], 2].min(1)
    assert (np.abs(ankles - 0.1) < 0.15).all(), "one foot is near the floor"
    height = motion.joints_world[:, 15, 2]
    assert ((height > 1.2) & (height < 2.0)).all()
    turns = Rotation.from_rotvec(motion.poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    steps = np.swapaxes(turns[:-1], -1, -2) @ turns[1:]
    angles = np.degrees(Rotation.from_matrix(steps.reshape(-1, 3, 3)).magnitude())
    assert angles.max() < 30, "no joint flips between two frames, 33 ms apart"


def test_the_readmes_ten_lines_do_the_whole_conversion(tmp_path: Path):
    page = (ROOT / "inference" / "README.md").read_text(encoding="utf-8")
    program = page.split("```python\n")[1].split("```")[0]
    assert len(program.strip().splitlines()) <= 11
    program = program.replace("tests/sample/sample.mp4", str(SAMPLE))
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    motion = Motion.load(tmp_path / "person-1.motion.npz")
    assert result.stdout == f"1 ({len(motion)}, 24, 3) []\n"
    assert motion.provenance["feet"] == 0.5


def test_a_script_brings_its_own_detector():
    options = Options(start=2.0, end=2.6, quality="fast", network="landmarks")
    models = load_models(options)
    seen: list[tuple[int, ...]] = []

    class Counting:
        input_size = models.people.input_size

        def detect(self, image: np.ndarray, regions: np.ndarray | None = None) -> Detections:
            seen.append(image.shape)
            return models.people.detect(image, regions)

        def read(self, cuts: Sequence[np.ndarray], crops: np.ndarray) -> list[Pose]:
            return models.people.read(cuts, crops)

    own = replace(models, people=Counting(), people_key="")
    (motion,) = conversion.convert_footage(SAMPLE, options, own).motions
    (same,) = conversion.convert_footage(SAMPLE, options, models).motions
    assert seen
    np.testing.assert_array_equal(motion.poses_cam, same.poses_cam)


def test_the_camera_is_followed_in_every_frame_whatever_the_numbers(monkeypatch: pytest.MonkeyPatch):
    """Frames that can't be decoded have numbers, too; the first pass over 25 frames a second takes every second one."""
    frames = [frame for frame in Footage(SAMPLE, 2.0, 2.8) if frame.number % 5 != 1]
    monkeypatch.setattr(Footage, "__iter__", lambda self: iter(frames))
    options = Options(start=2.0, end=2.8, network="landmarks", quality="best")
    (observations,) = conversion.find_people(SAMPLE, options, load_models(options))
    assert [frame.number for frame in frames] == list(observations.frames)
    assert len(observations.camera_rotations) == len(observations.homographies) == len(frames)
