"""Rendered scenes agree with their truth, and the real pipeline is scored on them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_motion.inference.body import rotations
from video_motion.inference.body.smpl import Body
from video_motion.inference.cli import __main__ as cli
from video_motion.inference.research.evaluation.scenes import film, score
from video_motion.inference.research.evaluation.scenes.film import FilmedScene
from video_motion.inference.research.evaluation.scenes.recipes import RECIPES, read_recipes
from video_motion.inference.research.evaluation.truth import EvaluationError
from video_motion.inference.research.training.mocap.library import Library

TOML = """
seed = 5
size = [320, 240]
frame_rate = 10
[cameras.static]
height = 1.4
[cameras.walking]
height = 1.5
roll = 3.0
shake = 1.0
travel = [0.7, 0.0, 0.4]
bob = 0.02
[scenes.sit]
frames = 26
place = "indoors"
people = [{ made = "sit", facing = 40 }]
[scenes.still]
frames = 8
place = "outdoors"
people = [{ clip = "idle", facing = 30 }, { clip = "idle", at = [0.9, 0.0], arms = "embrace" }]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, body: Body) -> Path:
    """A folder with recipes, and a library of one person who stands around."""
    folder = tmp_path_factory.mktemp("data")
    poses = np.zeros((120, 24, 3), np.float32)
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    Library(
        poses=poses,
        trans=np.tile(np.array([0, -body.v_template[:, 1].min(), 0], np.float32), (120, 1)),
        starts=np.array([0, 120]),
        names=np.array(["idle"]),
        groups=np.array(["people"]),
        weights=np.ones(1),
        frame_rate=60.0,
    ).save(folder / "library.npz")
    (folder / "recipes.toml").write_text(TOML)
    return folder


@pytest.fixture(scope="module")
def scenes(data: Path, body: Body) -> dict[tuple[str, str], FilmedScene]:
    made = film.film(read_recipes(data / "recipes.toml"), data, body)
    return {(scene.name, scene.camera): scene for scene in made}


def picture(scene: FilmedScene, frame: int) -> np.ndarray:
    return cv2.imread(str(scene.footage / f"{frame:06d}.jpg"), cv2.IMREAD_GRAYSCALE).astype(float)  # pyrefly: ignore[missing-attribute]


def test_people_stand_on_the_floor_and_sit_on_the_chair(scenes: dict[tuple[str, str], FilmedScene], body: Body):
    for (name, _), scene in scenes.items():
        for person, soles in zip(scene.people, scene.soles, strict=True):
            surface = body.vertices(person.poses, person.betas, person.trans)
            assert surface[..., 2].min(axis=1) == pytest.approx(0, abs=0.01)
            assert soles.all()
        assert len(scene.boxes) == (name == "sit")
    (chair,) = scenes["sit", "static"].boxes
    sitting = scenes["sit", "static"].people[0].joints_world[-1, 0]
    assert (chair[0, :2] < sitting[:2]).all()
    assert (sitting[:2] < chair[1, :2]).all()
    assert 0.35 < chair[1, 2] < sitting[2]


def test_the_floor_moves_with_the_camera(scenes: dict[tuple[str, str], FilmedScene]):
    """What was seen of the floor, moved as the floor's plane is by the camera's true way, is what is seen later."""
    scene = scenes["still", "walking"]
    person = scene.people[0]
    first, last = 0, 7
    # Below everybody's feet.
    corners = np.array([[20.0, 200], [300, 200], [300, 239], [20, 239]])
    to_world, K = person.camera_to_world, person.camera_K
    rays = np.column_stack([corners, np.ones(4)]) @ np.linalg.inv(K).T @ to_world[last, :3, :3].T
    eye = to_world[last, :3, 3]
    floor = eye - rays * (eye[2] / rays[:, 2:])
    seen = (floor - to_world[first, :3, 3]) @ to_world[first, :3, :3]
    there = (seen / seen[:, 2:] @ K.T)[:, :2]
    assert np.linalg.norm(there - corners, axis=1).min() > 8
    way = cv2.getPerspectiveTransform(corners.astype(np.float32), there.astype(np.float32))

    def moved(image: np.ndarray) -> np.ndarray:
        return cv2.warpPerspective(image, way, (320, 240), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)[205:]

    def detail(image: np.ndarray) -> np.ndarray:
        """Without noise, and without light, which changes with the distance."""
        return cv2.GaussianBlur(image, (0, 0), 1) - cv2.GaussianBlur(image, (0, 0), 4)

    before, later = detail(picture(scene, first)), detail(picture(scene, last))[205:]
    known = moved(np.ones_like(before)) > 0.99
    assert known.mean() > 0.5

    def alike(image: np.ndarray) -> float:
        return float(np.corrcoef(image[known], later[known])[0, 1])

    assert alike(moved(before)) > 0.8
    # A pixel beside it is less alike.
    beside = [alike(moved(np.roll(before, shift, axis))) for shift in (-1, 1) for axis in (0, 1)]
    assert alike(moved(before)) > max(beside)
    assert alike(before[205:]) < 0.4


def test_a_static_camera_sees_still_surroundings(scenes: dict[tuple[str, str], FilmedScene]):
    scene = scenes["sit", "static"]
    assert np.ptp(scene.people[0].camera_to_world, axis=0).max() == 0
    assert np.abs(picture(scene, 0) - picture(scene, 25))[:, :60].mean() < 3


def test_the_truth_has_no_error(scenes: dict[tuple[str, str], FilmedScene], body: Body):
    scene = scenes["still", "walking"]
    # The world of an estimate lies anywhere along the floor.
    turn, there = rotations.axis_angle_to_matrix(np.array([0, 0, 1.0])), np.array([3.0, -2.0, 0.0])
    found = []
    for person in scene.people:
        moved = person.camera_to_world.copy()
        moved[:, :3] = turn @ moved[:, :3]
        moved[:, :3, 3] += there
        found.append(replace(person, camera_to_world=moved, estimator="landmarks"))
    table = score.score(scene, found, ["landmarks", "tar"], body)
    for estimated, true in zip(table["landmarks"], table[score.TRUE], strict=True):
        assert estimated["seen"] == 100
        for measure in ("W-MPJPE", "WA-MPJPE", "PA-MPJPE", "gravity", "reprojection"):
            assert estimated[measure] == pytest.approx(0, abs=0.01), measure
        for measure in ("sliding", "floating", "sinking", "jitter"):
            assert estimated[measure] == pytest.approx(true[measure], abs=0.01), measure
    assert table["landmarks"][0]["identity switches"] == 0
    assert [one["seen"] for one in table["tar"]] == [0, 0]
    tilt = rotations.axis_angle_to_matrix(np.radians([0, 0, 12.0]))
    for motion in found:
        motion.camera_to_world[:, :3, :3] = motion.camera_to_world[:, :3, :3] @ tilt
    leaning = score.score(scene, found, ["landmarks"], body)["landmarks"][0]
    assert leaning["gravity"] == pytest.approx(12, abs=0.5)


def test_the_pipeline_is_scored_on_scenes(data: Path, tmp_path: Path, scenes: dict, capsys: pytest.CaptureFixture):
    """The films of before are taken, and the person is found where the truth says."""
    films = {file: file.stat().st_mtime_ns for file in (data / "scenes").rglob("*")}
    out = tmp_path / "out"
    line = ["evaluate", "--scenes", str(data / "recipes.toml"), "--data", str(data), "--only", "sit"]
    assert cli.main([*line, "--quality", "fast", "--network", "landmarks", "--out", str(out)]) == 0
    assert {file: file.stat().st_mtime_ns for file in (data / "scenes").rglob("*")} == films
    written = json.loads((out / "scenes.scores.json").read_text())
    assert written["units"] == score.MEASURES
    by_scene = written["by scene"]["landmarks"]
    assert set(by_scene) == {
        *("sit, static", "sit, walking", "sit, all"),
        *("all, static", "all, walking", "all, all"),
    }
    for scores in by_scene.values():
        assert scores["seen"] > 80
        assert scores["reprojection"] < 6
        assert scores["PA-MPJPE"] < 130
        assert 0 < scores["WA-MPJPE"] <= scores["W-MPJPE"]
    printed = capsys.readouterr().out
    assert printed.count("\n| landmarks |") == 6
    assert "| true motion | all | all |" in printed


def test_the_recipes_that_come_along_are_complete():
    recipes = read_recipes(RECIPES)
    assert set(recipes.cameras) == {"static", "panning", "hand-held", "walking"}
    assert len(recipes.scenes) == 9
    assert all(2 * recipes.frame_rate < scene.frames < 5 * recipes.frame_rate for scene in recipes.scenes.values())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('made = "sit"', 'made = "fly"', "The scene sit"),
        ("frames = 26", "frame = 26", "frame is unknown"),
        ("seed = 5", "seed =", "can't be read"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path: Path, old: str, new: str, said: str):
    file = tmp_path / "recipes.toml"
    file.write_text(TOML.replace(old, new))
    with pytest.raises(EvaluationError, match=said):
        read_recipes(file)


def test_a_recording_that_is_missing_is_told(data: Path, tmp_path: Path, body: Body):
    file = tmp_path / "recipes.toml"
    file.write_text(TOML.replace('clip = "idle", facing', 'clip = "somersault", facing'))
    with pytest.raises(EvaluationError, match="somersault"):
        list(film.film(read_recipes(file), data, body, ["still"]))
